import pytest

from jaxloop.analysis import measures


@pytest.mark.parametrize(
    ("metric", "title", "better", "low", "high"),
    [
        ("fid", "FID", "lower", 0, None),
        ("fd_clip", "fd_clip", "lower", 0, None),
        ("kid_clip", "KID, clip", "lower", None, None),
        ("kid_std_clip", "spread of KID over subsets, clip", "lower", 0, None),
        ("precision_inception", "precision, inception", "higher", 0, 1),
        ("recall_inception", "recall, inception", "higher", 0, 1),
        ("density_inception", "density, inception", "higher", 0, None),
        ("coverage_inception", "coverage, inception", "higher", 0, 1),
        ("feature_variance_lenet", "feature variance, lenet", "", 0, None),
        ("accuracy_box_ablated", "accuracy, box greyed", "", 0, 1),
        ("acc_rank_3", "rank 3", "higher", 0, 1),
        ("never_heard_of", "never heard of", "", None, None),
    ],
)
def test_words(metric, title, better, low, high):
    assert measures.measure(metric)[:5] == (metric, title, better, low, high)
    assert measures.measure(metric).meaning


def test_only_frechet_distances_are_distances():
    named = [
        "fid",
        "fd_clip",
        "kid_clip",
        "kid_std_clip",
        "precision_clip",
        "feature_variance_clip",
        "accuracy",
    ]
    assert [m for m in named if measures.is_distance(m)] == ["fid", "fd_clip"]
    assert [m for m in named if measures.is_of_features(m)] == named[2:6]


def test_biases_are_of_known_measures_turned_so_that_larger_is_worse():
    assert [bias.metric for bias in measures.BIASES] == ["meo", "md", "acc_rank_1", "di"]
    for bias in measures.BIASES:
        assert bias.complement == (measures.measure(bias.metric).better == "higher")


def test_rarity_is_read_off_the_name():
    assert measures.rarity("drop_rate_rarity_2") == 2 and measures.rarity("drop_rate") is None
    assert measures.rarity("_rarity_2") is None and measures.rarity("drop_rate_rarity_x") is None
    told = measures.measure("subgroup_share_rarity_1")
    assert (
        told.title == "subgroup share, rarest"
        and "of the rarest subgroup of every class" in told.meaning
    )
