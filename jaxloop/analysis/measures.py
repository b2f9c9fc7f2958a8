"""What the measures are called, which way is better, and what each means: the words and ranges of the page."""

from typing import NamedTuple


class Measure(NamedTuple):
    """metric: its name in records.jsonl.  better: "higher", "lower" or "" (neither).  low, high: its range, None = open."""

    metric: str
    title: str
    better: str
    low: float | None
    high: float | None
    meaning: str


class Bias(NamedTuple):
    """A measure turned so that larger = more biased: value -> 1 - value where `complement`."""

    title: str
    metric: str
    complement: bool


BIASES = (
    Bias("mean gap (1 − MEO)", "meo", True),
    Bias("largest gap (MD)", "md", False),
    Bias("worst-subgroup error", "acc_rank_1", True),
    Bias("disparate-impact gap (1 − DI)", "di", True),
)

_CLASSIFIER = (
    Measure("accuracy", "accuracy", "higher", 0, 1, "share of the real test images that are classified correctly (eq. 1)"),
    Measure(
        "meo", "MEO", "higher", 0, 1,
        "equality of opportunity (eq. 2): 1 − the mean gap |TPR_i − TPR_j| over the unordered pairs of subgroups; "
        "1 = all subgroups are served equally",
    ),
    Measure(
        "di", "DI", "higher", None, 1,
        "disparate impact (eq. 3): 1 − the mean of |rate_i / rate_j − 1| over pairs of subgroups; the ratio is not "
        "symmetric, so both directions of a pair are averaged; it can fall below 0, and does not exist if a subgroup's "
        "rate is 0",
    ),
    Measure("md", "MD", "lower", 0, 1, "maximum disparity (eq. 4): the largest gap |TPR_i − TPR_j| between two subgroups"),
    Measure("meo_per_class", "MEO, per class", "higher", 0, 1, "eq. 2 within each class, averaged over classes"),
    Measure("di_per_class", "DI, per class", "higher", None, 1, "eq. 3 within each class, averaged over classes"),
    Measure("md_per_class", "MD, per class", "lower", 0, 1, "eq. 4 within each class, averaged over classes"),
    Measure("group_accuracy", "subgroup accuracy", "higher", 0, 1, "accuracy on the test images of one subgroup"),
    Measure(
        "accuracy_object_ablated", "accuracy, object greyed", "", 0, 1,
        "accuracy with the object's pixels replaced by grey (0.5); what it falls by is what the object itself is worth",
    ),
    Measure(
        "accuracy_box_ablated", "accuracy, box greyed", "", 0, 1,
        "accuracy with the box around the object replaced by grey, so that its shape is gone as well",
    ),
    Measure(
        "accuracy_tile_ablated", "accuracy, box tiled", "", 0, 1,
        "accuracy with the box around the object replaced by a neighbouring region of the picture",
    ),
    Measure("validation_loss", "validation loss", "lower", 0, None, "lowest loss on the validation images, which are real"),
    Measure("epochs_trained", "epochs trained", "", 0, None, "epochs until early stopping (validation on real images)"),
    Measure("diverged", "diverged", "lower", 0, 1, "1 where training diverged, else 0"),
)  # fmt: skip

_OTHERS = (
    Measure(
        "label_agreement", "label agreement", "higher", 0, 1,
        "share of the kept generated images that the generation-0 reference classifier gives the intended label: is "
        "the generator any good?",
    ),
    Measure(
        "within_class_diversity", "diversity within a class", "higher", 0, None,
        "mean pixel distance between kept images of a class, over the same among real images: 1 = as diverse, near 0 = "
        "one picture a class",
    ),
    Measure("subgroup_share", "subgroup share", "", 0, 1, "share of a subgroup among the generated images that were kept"),
    Measure("unknown_share", "share of unknown subgroup", "lower", 0, 1, "share of generated images of no clear subgroup"),
    Measure("drop_rate", "share dropped", "", 0, 1, "share of the generated images that the filter dropped"),
    Measure("voted_share", "share voted on", "", 0, 1, "share of the generated images that somebody voted on"),
    Measure("deleted_classes", "deleted classes", "lower", 0, None, "classes of which the filter kept no image at all"),
    Measure(
        "voted_out_kept", "voted out and kept", "lower", 0, None,
        "images that people voted out and that were kept all the same, since the number to be kept is fixed",
    ),
    Measure(
        "voted_in_dropped", "voted in and dropped", "lower", 0, None,
        "images that people voted in and that were dropped all the same, since the number to be kept is fixed",
    ),
)  # fmt: skip

_BY_METRIC = {measure.metric: measure for measure in (*_CLASSIFIER, *_OTHERS)}

RARITY = "_rarity_"

OVERALL = ("accuracy", "meo", "di", "md")
PER_CLASS = ("meo_per_class", "di_per_class", "md_per_class")
GENERATOR = ("label_agreement", "within_class_diversity")
ABLATIONS = ("accuracy_object_ablated", "accuracy_box_ablated", "accuracy_tile_ablated")

# Measures in the features of a network, "<prefix><network>": title, better, low, high, meaning. Longer prefixes first.
_OF_FEATURES = {
    "kid_std_": (
        "spread of KID over subsets", "lower", 0, None, "standard deviation of KID over the subsets of images that it averages"
    ),
    "kid_": (
        "KID", "lower", None, None,
        "kernel distance to real images: the unbiased estimate of MMD² under a cubic kernel. It does not depend on the number "
        "of images as a Fréchet distance does, and can come out slightly below 0 where the two are alike",
    ),
    "precision_": ("precision", "higher", 0, 1, "share of generated images that lie within the neighbourhood of a real one"),
    "recall_": ("recall", "higher", 0, 1, "share of real images that lie within the neighbourhood of a generated one"),
    "density_": (
        "density", "higher", 0, None,
        "in how many real images' neighbourhoods a generated one lies, over what is expected: precision that outliers do not "
        "inflate. It may exceed 1",
    ),
    "coverage_": ("coverage", "higher", 0, 1, "share of real images whose neighbourhood holds a generated one"),
    "feature_variance_": (
        "feature variance", "", 0, None,
        "total variance (trace of the covariance) of the real images' features: the scale to read a Fréchet distance by",
    ),
}  # fmt: skip


def measure(metric: str) -> Measure:
    """The words for a metric. Ranks and measures in features are made from their names; an unknown metric goes by its own."""
    if metric in _BY_METRIC:
        return _BY_METRIC[metric]
    if metric.startswith("acc_rank_"):
        rank = metric.removeprefix("acc_rank_")
        meaning = (
            f"accuracy of each class's {_nth_worst(rank)} subgroup, averaged over classes (eq. 5)"
        )
        return Measure(
            metric,
            "worst-subgroup accuracy" if rank == "1" else f"rank {rank}",
            "higher",
            0,
            1,
            meaning,
        )
    if (k := rarity(metric)) is not None:
        whole = _BY_METRIC.get(metric.rpartition(RARITY)[0])
        if whole:
            of = f"of the {rarity_name(k)} subgroup of every class in the real data, pooled over classes"
            return Measure(
                metric, f"{whole.title}, {rarity_name(k)}", "", 0, 1, f"{whole.meaning}; {of}"
            )
    if metric == "fid":
        return Measure(
            metric,
            "FID",
            "lower",
            0,
            None,
            "Fréchet distance to real images, Inception-V3 features (eq. 1)",
        )
    if is_distance(metric):
        network = metric.partition("_")[2]
        meaning = f"Fréchet distance to real images in the features of {network} (not Inception-V3, so it is not FID)"
        return Measure(metric, metric, "lower", 0, None, meaning)
    for prefix, (title, better, low, high, meaning) in _OF_FEATURES.items():
        if metric.startswith(prefix):
            network = metric.removeprefix(prefix)
            return Measure(
                metric,
                f"{title}, {network}",
                better,
                low,
                high,
                f"{meaning} (features of {network})",
            )
    return Measure(metric, metric.replace("_", " "), "", None, None, f"the record `{metric}`")


def is_of_features(metric: str) -> bool:
    """Whether a metric is a measure in the features of a network other than a Fréchet distance: "kid_<network>" and such."""
    return metric.startswith(tuple(_OF_FEATURES))


def is_distance(metric: str) -> bool:
    """Whether a metric is a Fréchet distance: "fid" or "fd_<network>"."""
    return metric == "fid" or metric.startswith("fd_")


def rank(metric: str) -> int | None:
    """k of "acc_rank_k"; None for any other metric."""
    number = metric.removeprefix("acc_rank_")
    return int(number) if number != metric and number.isdigit() else None


def rarity(metric: str) -> int | None:
    """k of "<metric>_rarity_k", of the k-th rarest subgroups of their classes; None for any other metric."""
    of, _, number = metric.rpartition(RARITY)
    return int(number) if of and number.isdigit() else None


def rarity_name(k: int, num: int = 0) -> str:
    """The k-th rarest of `num` subgroups, 0 = of nobody knows how many."""
    if k == num > 1:
        return "commonest"
    return {1: "rarest", 2: "second-rarest", 3: "third-rarest"}.get(k, f"{k}th-rarest")


def _nth_worst(rank: str) -> str:
    return {"1": "worst", "2": "second-worst", "3": "third-worst"}.get(rank, f"{rank}th-worst")
