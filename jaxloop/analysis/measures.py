"""What is measured: names of measures, the biases made of them, their titles and ranges.

What each of them means is said in report/templates/words.html.
"""

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
    better: str = ""
    low: float | None = None
    high: float | None = None


BIASES = (
    Bias("mean gap (1 − MEO)", Name("", "meo"), True),
    Bias("largest gap (MD)", Name("", "md")),
    Bias("worst-subgroup error", Name("", "accuracy", rank=1), True),
    Bias("disparate-impact gap (1 − DI)", Name("", "di"), True),
)
OVERALL = ("accuracy", "meo", "di", "md")
PER_CLASS = ("meo_per_class", "di_per_class", "md_per_class")
GENERATOR = ("label_agreement", "within_class_diversity")

_MEASURES = {
    "accuracy": Measure("accuracy", "higher", 0, 1),
    "meo": Measure("MEO", "higher", 0, 1),
    "di": Measure("DI", "higher", None, 1),
    "md": Measure("MD", "lower", 0, 1),
    "meo_per_class": Measure("MEO, per class", "higher", 0, 1),
    "di_per_class": Measure("DI, per class", "higher", None, 1),
    "md_per_class": Measure("MD, per class", "lower", 0, 1),
    "group_accuracy": Measure("subgroup accuracy", "higher", 0, 1),
    "validation_loss": Measure("validation loss", "lower", 0),
    "epochs_trained": Measure("epochs trained", "", 0),
    "diverged": Measure("diverged", "lower", 0, 1),
    "loss": Measure("loss", "lower"),
    "gradient_norm": Measure("gradient norm", "", 0),
    "label_agreement": Measure("label agreement", "higher", 0, 1),
    "within_class_diversity": Measure("diversity within a class", "higher", 0),
    "within_group_diversity": Measure("diversity within class and subgroup", "higher", 0),
    "nearest_real": Measure("distance to the nearest real image", "", 0),
    "subgroup_share": Measure("subgroup share", "", 0, 1),
    "subgroup_accuracy": Measure("subgroups named rightly", "higher", 0, 1),
    "unknown_share": Measure("share of unknown subgroup", "lower", 0, 1),
    "drop_rate": Measure("share dropped", "", 0, 1),
    "voted_share": Measure("share voted on", "", 0, 1),
    "deleted_classes": Measure("deleted classes", "lower", 0),
    "voted_out_kept": Measure("voted out and kept", "lower", 0),
    "voted_in_dropped": Measure("voted in and dropped", "lower", 0),
    "fid": Measure("FID", "lower", 0),
    "frechet_distance": Measure("Fréchet distance", "lower", 0),
    "kid": Measure("KID", "lower"),  # unbiased, and so at times below 0
    "kid_std": Measure("spread of KID over subsets", "lower", 0),
    "precision": Measure("precision", "higher", 0, 1),
    "recall": Measure("recall", "higher", 0, 1),
    "density": Measure("density", "higher", 0),
    "coverage": Measure("coverage", "higher", 0, 1),
    "feature_variance": Measure("feature variance", "", 0),
}
_ABLATED = {"object": "object greyed", "box": "box greyed", "tile": "box tiled"}
ABLATIONS = tuple(_ABLATED)


def measure(name: Name | str) -> Measure:
    """Return title and range of a measure; an unknown metric goes by its own name."""
    name = Name("", name) if isinstance(name, str) else name
    base = _MEASURES.get(name.metric) or Measure(name.metric.replace("_", " "))
    if name.rank is not None:
        return base._replace(
            title="worst-subgroup accuracy" if name.rank == 1 else f"rank {name.rank}"
        )
    if name.ablation is not None:
        ablated = _ABLATED.get(name.ablation, name.ablation)
        return base._replace(title=f"{base.title}, {ablated}", better="")
    if name.rarity is not None:
        return base._replace(title=f"{base.title}, {rarity_name(name.rarity)}")
    if name.network is not None and name.metric != "fid":
        return base._replace(title=f"{base.title}, {name.network}")
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
    ordinals = {1: "", 2: "second-", 3: "third-"}
    return "commonest" if k == num > 1 else f"{ordinals.get(k, f'{k}th-')}rarest"
