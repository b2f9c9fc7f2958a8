import pytest

from jaxloop.analysis import measures
from jaxloop.analysis.measures import Name
from jaxloop.report import rendering

MEANINGS = rendering.ENVIRONMENT.get_template("words.html").module


@pytest.mark.parametrize(
    ("name", "title", "better", "low", "high"),
    [
        (Name("", "fid", network="inception"), "FID", "lower", 0, None),
        (Name("", "frechet_distance", network="clip"), "Fréchet distance, clip", "lower", 0, None),
        (Name("", "kid", network="clip"), "KID, clip", "lower", None, None),
        (Name("", "kid_std", network="b"), "spread of KID over subsets, b", "lower", 0, None),
        (Name("", "precision", network="inception"), "precision, inception", "higher", 0, 1),
        (Name("", "recall", network="inception"), "recall, inception", "higher", 0, 1),
        (Name("", "density", network="inception"), "density, inception", "higher", 0, None),
        (Name("", "coverage", network="inception"), "coverage, inception", "higher", 0, 1),
        (Name("", "feature_variance", network="lenet"), "feature variance, lenet", "", 0, None),
        (Name("", "accuracy", ablation="box"), "accuracy, box greyed", "", 0, 1),
        (Name("", "accuracy", ablation="new"), "accuracy, new", "", 0, 1),
        (Name("", "accuracy", rank=1), "worst-subgroup accuracy", "higher", 0, 1),
        (Name("", "accuracy", rank=3), "rank 3", "higher", 0, 1),
        ("never_heard_of", "never heard of", "", None, None),
    ],
)
def test_titles_and_ranges(name, title, better, low, high):
    assert measures.measure(name) == (title, better, low, high)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (Name("", "meo"), "the mean gap |TPR_i − TPR_j|"),
        (Name("", "accuracy", rank=2), "accuracy of each class&#39;s second-worst subgroup"),
        (Name("", "accuracy", ablation="box"), "the box around the object replaced by grey"),
        (Name("", "accuracy", ablation="new"), "under new"),
        (Name("", "subgroup_share", rarity=1), "; of the rarest subgroup of every class"),
        (Name("", "kid", network="clip"), "the two are alike (features of clip)"),
        (Name("", "fid", network="inception"), "Inception-V3 features (eq. 1)"),
        (Name("", "never_heard_of"), "the record `never_heard_of`"),
    ],
)
def test_meanings(name, words):
    assert words in MEANINGS.meaning(name)


def test_every_measure_has_a_meaning():
    assert set(MEANINGS.meanings) == set(measures._MEASURES)
    assert set(MEANINGS.ablated) == set(measures.ABLATIONS)


def test_only_frechet_distances_are_distances():
    metrics = ["fid", "frechet_distance", "kid", "kid_std", "precision", "feature_variance", "meo"]
    assert [m for m in metrics if measures.is_distance(m)] == metrics[:2]
    assert [m for m in metrics if measures.is_of_features(m)] == metrics[2:6]


def test_biases_are_of_known_measures_turned_so_that_larger_is_worse():
    assert [bias.name("s")[1:5] for bias in measures.BIASES] == [
        ("meo", None, None, None), ("md", None, None, None), ("accuracy", None, None, 1),
        ("di", None, None, None),
    ]  # fmt: skip
    for bias in measures.BIASES:
        assert bias.complement == (measures.measure(bias.key).better == "higher")


def test_words_on_rarity():
    words = measures.measure(Name("", "subgroup_share", rarity=1))
    assert words.title == "subgroup share, rarest"
    names = [measures.rarity_name(k, 4) for k in range(1, 5)]
    assert names == ["rarest", "second-rarest", "third-rarest", "commonest"]
    assert measures.rarity_name(4) == "4th-rarest"


def test_parameters_go_by_the_names_of_the_log():
    name = Name("lenet", "group_accuracy", class_=0, group=2)
    assert name.parameters == {"class": 0, "group": 2}
