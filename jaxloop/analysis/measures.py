"""What is measured: names of measures, the biases made of them, and their words and ranges."""

from typing import NamedTuple


class Name(NamedTuple):
    """A metric of a subject (a classifier, "generator", "filter", "real"), and its parameters.

    Those are the log's (see `records.PARAMETERS`), without the epoch and split of training signals.
    """

    subject: str
    metric: str
    class_: int | None = None
    group: int | None = None
    rank: int | None = None
    rarity: int | None = None
    network: str | None = None
    ablation: str | None = None

    @property
    def parameters(self) -> dict[str, int | str]:
        """Those that it has, under their names in the log."""
        fields = zip(FIELDS[2:], self[2:], strict=True)
        return {field: value for field, value in fields if value is not None}


# The fields of a Name as the log calls them.
FIELDS = ("subject", "metric", "class", "group", "rank", "rarity", "network", "ablation")


class Bias(NamedTuple):
    """A measure as it is compared: value, or 1 - value where `complement`, so that larger is worse.

    key: its name, with subject "". Also used for what is no bias, without a complement.
    """

    title: str
    key: Name
    complement: bool = False

    @property
    def metric(self) -> str:
        return self.key.metric

    def name(self, subject: str) -> Name:
        return self.key._replace(subject=subject)


class Measure(NamedTuple):
    """better: "higher", "lower" or "" (neither).  low, high: its range, None = open."""

    title: str
    better: str
    low: float | None
    high: float | None
    meaning: str


BIASES = (
    Bias("mean gap (1 − MEO)", Name("", "meo"), True),
    Bias("largest gap (MD)", Name("", "md")),
    Bias("worst-subgroup error", Name("", "accuracy", rank=1), True),
    Bias("disparate-impact gap (1 − DI)", Name("", "di"), True),
)
OVERALL = ("accuracy", "meo", "di", "md")
PER_CLASS = ("meo_per_class", "di_per_class", "md_per_class")
GENERATOR = ("label_agreement", "within_class_diversity")
ABLATIONS = ("object", "box", "tile")

_MEASURES = {metric: Measure(*words) for metric, words in {
    "accuracy": ("accuracy", "higher", 0, 1,
        "share of the real test images that are classified correctly (eq. 1)"),
    "meo": ("MEO", "higher", 0, 1,
        "equality of opportunity (eq. 2): 1 − the mean gap |TPR_i − TPR_j| over the unordered "
        "pairs of subgroups; 1 = all subgroups are served equally"),
    "di": ("DI", "higher", None, 1,
        "disparate impact (eq. 3): 1 − the mean of |rate_i / rate_j − 1| over pairs of subgroups; "
        "the ratio is not symmetric, so both directions of a pair are averaged; it can fall below "
        "0, and does not exist if a subgroup's rate is 0"),
    "md": ("MD", "lower", 0, 1,
        "maximum disparity (eq. 4): the largest gap |TPR_i − TPR_j| between two subgroups"),
    "meo_per_class": ("MEO, per class", "higher", 0, 1,
        "eq. 2 within each class, averaged over classes"),
    "di_per_class": ("DI, per class", "higher", None, 1,
        "eq. 3 within each class, averaged over classes"),
    "md_per_class": ("MD, per class", "lower", 0, 1,
        "eq. 4 within each class, averaged over classes"),
    "group_accuracy": ("subgroup accuracy", "higher", 0, 1,
        "accuracy on the test images of one subgroup"),
    "validation_loss": ("validation loss", "lower", 0, None,
        "lowest loss on the validation images, which are real"),
    "epochs_trained": ("epochs trained", "", 0, None,
        "epochs until early stopping (validation on real images)"),
    "diverged": ("diverged", "lower", 0, 1, "1 where training diverged, else 0"),
    "loss": ("loss", "lower", None, None, "mean loss of an epoch of training"),
    "gradient_norm": ("gradient norm", "", 0, None, "mean norm of the gradient over an epoch"),
    "label_agreement": ("label agreement", "higher", 0, 1,
        "share of the kept generated images that the generation-0 reference classifier gives the "
        "intended label: is the generator any good?"),
    "within_class_diversity": ("diversity within a class", "higher", 0, None,
        "mean pixel distance between kept images of a class, over the same among real images: 1 = "
        "as diverse, near 0 = one picture a class"),
    "subgroup_share": ("subgroup share", "", 0, 1,
        "share of a subgroup among the generated images that were kept"),
    "unknown_share": ("share of unknown subgroup", "lower", 0, 1,
        "share of generated images of no clear subgroup"),
    "drop_rate": ("share dropped", "", 0, 1,
        "share of the generated images that the filter dropped"),
    "voted_share": ("share voted on", "", 0, 1,
        "share of the generated images that somebody voted on"),
    "deleted_classes": ("deleted classes", "lower", 0, None,
        "classes of which the filter kept no image at all"),
    "voted_out_kept": ("voted out and kept", "lower", 0, None,
        "images that people voted out and that were kept all the same, since the number to be "
        "kept is fixed"),
    "voted_in_dropped": ("voted in and dropped", "lower", 0, None,
        "images that people voted in and that were dropped all the same, since the number to be "
        "kept is fixed"),
    "fid": ("FID", "lower", 0, None,
        "Fréchet distance to real images, Inception-V3 features (eq. 1)"),
    "frechet_distance": ("Fréchet distance", "lower", 0, None,
        "Fréchet distance to real images (not in features of Inception-V3, so it is not FID)"),
    "kid": ("KID", "lower", None, None,
        "kernel distance to real images: the unbiased estimate of MMD² under a cubic kernel. It "
        "does not depend on the number of images as a Fréchet distance does, and can come out "
        "slightly below 0 where the two are alike"),
    "kid_std": ("spread of KID over subsets", "lower", 0, None,
        "standard deviation of KID over the subsets of images that it averages"),
    "precision": ("precision", "higher", 0, 1,
        "share of generated images that lie within the neighbourhood of a real one"),
    "recall": ("recall", "higher", 0, 1,
        "share of real images that lie within the neighbourhood of a generated one"),
    "density": ("density", "higher", 0, None,
        "in how many real images' neighbourhoods a generated one lies, over what is expected: "
        "precision that outliers do not inflate. It may exceed 1"),
    "coverage": ("coverage", "higher", 0, 1,
        "share of real images whose neighbourhood holds a generated one"),
    "feature_variance": ("feature variance", "", 0, None,
        "total variance (trace of the covariance) of the real images' features: the scale to read "
        "a Fréchet distance by"),
}.items()}  # fmt: skip
_ABLATED = {
    "object": ("object greyed",
        "accuracy with the object's pixels replaced by grey (0.5); what it falls by is what the "
        "object itself is worth"),
    "box": ("box greyed",
        "accuracy with the box around the object replaced by grey, so that its shape is gone too"),
    "tile": ("box tiled",
        "accuracy with the box around the object replaced by a neighbouring region of the picture"),
}  # fmt: skip


def measure(name: Name | str) -> Measure:
    """Return the words of a measure; an unknown metric goes by its own name."""
    name = Name("", name) if isinstance(name, str) else name
    unknown = Measure(name.metric.replace("_", " "), "", None, None, f"the record `{name.metric}`")
    base = _MEASURES.get(name.metric, unknown)
    if name.rank is not None:
        title = "worst-subgroup accuracy" if name.rank == 1 else f"rank {name.rank}"
        meaning = (
            f"accuracy of each class's {_nth(name.rank, 'worst')} subgroup, averaged over classes"
        )
        return base._replace(title=title, meaning=f"{meaning} (eq. 5)")
    if name.ablation is not None:
        title, meaning = _ABLATED.get(name.ablation, (name.ablation, f"under {name.ablation}"))
        return base._replace(title=f"{base.title}, {title}", better="", meaning=meaning)
    if name.rarity is not None:
        nth = rarity_name(name.rarity)
        scope = f"of the {nth} subgroup of every class in the real data, pooled over classes"
        return base._replace(title=f"{base.title}, {nth}", meaning=f"{base.meaning}; {scope}")
    if name.network is not None and name.metric != "fid":
        meaning = f"{base.meaning} (features of {name.network})"
        return base._replace(title=f"{base.title}, {name.network}", meaning=meaning)
    return base


def is_distance(metric: str) -> bool:
    """Whether a metric is a Fréchet distance."""
    return metric in ("fid", "frechet_distance")


def is_of_features(metric: str) -> bool:
    """Whether a metric is taken in the features of a network, and is no Fréchet distance."""
    measured = ("kid", "kid_std", "precision", "recall", "density", "coverage", "feature_variance")
    return metric in measured


def rarity_name(k: int, num: int = 0) -> str:
    """Name the k-th rarest of `num` subgroups (0 = unknown)."""
    return "commonest" if k == num > 1 else _nth(k, "rarest")


def _nth(k: int, superlative: str) -> str:
    ordinal = {1: "", 2: "second-", 3: "third-"}.get(k, f"{k}th-")
    return f"{ordinal}{superlative}"
