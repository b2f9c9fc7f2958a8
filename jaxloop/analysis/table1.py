"""The paper's table 1: distance of generated from real images by generation; its rows, ours."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from jaxloop.analysis import labels, results
from jaxloop.analysis.measures import Name
from jaxloop.analysis.results import Point
from jaxloop.analysis.run_folder import Run
from jaxloop.statistics import Estimate

PAPER = "the paper"
# (data.name, initialisation) -> FID of generations 1, 2, ...
PAPERS = {
    (labels.MNIST, labels.UNBIASED):
        (111.7, 108.9, 107.8, 107.1, 104.5, 103.6, 101.0, 100.5, 103.6, 106.3),
    (labels.MNIST, labels.BIASED):
        (109.4, 106.0, 107.03, 106.4, 105.3, 114.2, 109.0, 108.6, 109.1, 116.5),
    (labels.CIFAR, labels.NOT_APPLICABLE):
        (249.3, 213.6, 210.6, 217.7, 218.8, 224.9, 233.1, 226.5, 220.6, 223.0),
    (labels.HARD_IMAGENET, labels.NOT_APPLICABLE):
        (56.6, 49.9, 55.4, 60.2, 70.6, 65.8, 153.2, 256.1, 353.1),
}  # fmt: skip
CAPTION = (
    "Fréchet distance between generated and real images by generation: mean ± half-width of the "
    "95% t-interval over seeds"
)
_ROW = ["data_set", "initialisation", "run", "metric", "network", "distance"]
_ROWS = [*_ROW, "caveats", "measured_on", "points"]
_POINTS = [*_ROW, "generation", "mean", "low", "high", "half_width", "n"]


class Table1(NamedTuple):
    """rows: one a row of the table: data_set, initialisation, run (a label, or PAPER), metric,
      network, distance ("FID" or "frechet_distance, lenet"), caveats (codes against comparing),
      measured_on (every (n, n_real, resize, sha256) that occurs), points (list[Point]).
    points: one a row and generation from 1 on: the first six of these, generation, mean, low, high,
      half_width, n. NaN where there is none; the paper gives neither interval nor n.
    """

    rows: pd.DataFrame
    points: pd.DataFrame


def table1(runs: Sequence[Run]) -> Table1:
    """Gather for each run its FID, or where it has none each of its other Fréchet distances.

    The paper's row stands once before those of its data set and kind of colours. A run without any
    distance has no row. Rows of one experiment stand together, in the order of the runs.
    """
    experiments = defaultdict(list)
    for run, label in zip(runs, labels.labels(runs), strict=True):
        experiment = labels.data_title(run), labels.initialisation(run)
        rows, distances = experiments[experiment], results.distances(run)
        values = PAPERS.get((labels.data_name(run), experiment[1]))
        if values and distances and not rows:
            points = [Point(g, Estimate(v, None, 0, 0)) for g, v in enumerate(values, start=1)]
            rows.append((*experiment, PAPER, "fid", None, "FID", (), (), points))
        of_record = [name for name in distances if name.metric == "fid"]
        rows += [(*experiment, label, *_measured(run, n)) for n in of_record or distances]
    frame = pd.DataFrame(itertools.chain(*experiments.values()), columns=_ROWS, dtype=object)
    points = [
        (*row[:6], p.generation, e.mean, e.low, e.high, e.half_width, e.num)
        for *row, curve in frame.itertuples(index=False)
        for p in curve
        for e in [p.estimate]
    ]
    points = pd.DataFrame(points, columns=_POINTS)
    points["n"] = points.n.astype("Int64").mask(points.run == PAPER)
    numbers = ["mean", "low", "high", "half_width"]
    return Table1(frame, points.astype(dict.fromkeys(numbers, float)))


def _measured(run: Run, name: Name) -> tuple:
    """A row from its metric on."""
    rows = run.rows(name)
    measured_on = [
        tuple(facts.get(part) for part in ("n", "n_real", "resize", "sha256"))
        for facts in rows.features.dropna()
    ]
    title = "FID" if name.metric == "fid" else ", ".join(filter(None, (name.metric, name.network)))
    return (
        name.metric, name.network, title, tuple(rows.caveat.dropna().unique()),
        tuple(dict.fromkeys(measured_on)), results.curve(run, name),
    )  # fmt: skip


def warnings(table: Table1) -> list[str]:
    """Say what must be known before rows are compared; what `caveats` mean is the report's."""
    ours = table.rows[table.rows.run != PAPER]
    spaces = list(dict.fromkeys(ours.distance))
    sentences = []
    if len(ours) < len(table.rows):
        sentences.append(
            f"Rows of “{PAPER}” are those of its table 1, which gives no interval. The data set "
            "and the kind of colours are the same; its generator's size and training, its image "
            "size and the numbers of images are not given or not ours."
        )
        if others := [space for space in spaces if space != "FID"]:
            sentences.append(
                f"{'; '.join(others)}: measured in another feature space than the paper's FID "
                "(Inception-V3): compare how the rows move over generations, never their values."
            )
    if len(spaces) > 1:
        sentences.append(
            f"The runs are measured in different feature spaces ({'; '.join(spaces)}): only trends "
            "can be compared."
        )
    elif len(ours) > 1 and spaces != ["FID"]:
        sentences.append(
            f"{spaces[0]}: measured in the features of each run's own network: between runs, only "
            "trends can be compared."
        )
    if len(ours) > 1 and ours.loc[ours.metric == "fid", "measured_on"].nunique() > 1:
        sentences.append(
            "The runs' FIDs are of other numbers of images, another resize or other weights: do "
            "not compare their values."
        )
    return sentences
