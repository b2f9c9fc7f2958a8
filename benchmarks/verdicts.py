"""Are the verdicts right? Simulate runs with a known change of bias, and count what is said.

    python -m benchmarks.verdicts [--runs 1000] [--only WORDS]

A run: S seeds, two arms, generations 0 to 5 (queue full from 3), one classifier. Test image i errs
with probability e f_i: a tenth of the images carries two thirds of all errors (FACTS: as the real
digits do). Whether an image errs in a seed and arm follows a Gaussian with correlation `rho` over
generations; each seed, arm and cell has its own random deviation of e, correlated alike, as large
in both arms (were it in proportion to e, gaps of single seeds would grow as accuracy falls, and the
rank gap would rightly say so). Prints a row of Markdown for each setting, with the share of runs

    changed         in which the family of both questions, by Holm, says grew or shrank (size)
    effect, trend   in which that question alone, uncorrected, has p < 0.05
    grew, no change in which that is said on the effect, by Holm

"by width": seeds are added to three, one at a time, until the interval of the effect is 0.04 wide
(answer.width), at most 30; the column of seeds has their mean number.
"""

import argparse
from typing import NamedTuple

import numpy as np
from scipy import special

from jaxloop.analysis import gaps, questions
from jaxloop.analysis.gaps import Gap
from jaxloop.analysis.questions import GREW, NO_CHANGE, SHRANK

T, FULL, CLASSES, SMALLEST = 5, 3, 10, 0.02
FEWEST, MOST = 3, 30  # seeds, where their number is chosen by the width of the interval
HARD, CARRIED = 0.094, 0.68  # of 360 test digits 34 carry 68 % of all errors


class Setting(NamedTuple):
    """error: of generation 0 and of the arm without the loop; later: of the loop, in the end.

    change: by which the loop's error on conflicting images rises from generation FULL on.
    cell: test images by class and subgroup.  empty: one cell has none.
    width: seeds are added until the effect's interval is this narrow; 0: none are.
    """

    name: str
    measure: str = gaps.ALIGNMENT
    error: float = 0.08
    later: float | None = None
    change: float = 0.0
    cell: int = 12
    groups: int = 3
    rho: float = 0.0
    spread: float = 0.2  # of the smaller error
    empty: bool = False
    hard: float = HARD
    width: float = 0.0
    seeds: tuple[int, ...] = (3, 5, 10, 30)


def test_set(setting: Setting) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return label, group and side of the test images; class c prefers subgroup c mod G."""
    cells = np.full((CLASSES, setting.groups), setting.cell)
    if setting.empty:
        cells[0, -1] = 0
    label, group = (np.repeat(index.ravel(), cells.ravel()) for index in np.indices(cells.shape))
    train = np.full(cells.shape, 10)
    train[np.arange(CLASSES), np.arange(CLASSES) % setting.groups] = 80
    return label, group, gaps.sides(label, group, train)


def correlated(rng, shape: tuple[int, ...], rho: float) -> np.ndarray:
    """Return standard normals [... T+1], AR(1) along the last axis."""
    noise = rng.standard_normal((*shape, T + 1), dtype=np.float32)
    for t in range(1, T + 1):
        noise[..., t] = rho * noise[..., t - 1] + np.sqrt(1 - rho**2) * noise[..., t]
    return noise


def simulated(rng, setting: Setting, num_seeds: int, label, group, side) -> np.ndarray:
    """Return right or wrong, float32 [2 S T+1 n]: loop, then without."""
    n, start = len(label), setting.error
    is_hard = rng.random(n) < setting.hard
    factor = np.where(is_hard, CARRIED / HARD, (1 - CARRIED) / (1 - HARD)) if setting.hard else 1.0
    steps = np.minimum(np.arange(T + 1) / FULL, 1)
    later = start if setting.later is None else setting.later
    level = np.stack([start + (later - start) * steps, np.full(T + 1, start)])  # [2 T+1]
    error = level[:, None, None, :] * np.ones((1, num_seeds, n, 1)) * np.reshape(factor, (-1, 1))
    cell = label * setting.groups + group
    seed_noise = correlated(rng, (2, num_seeds, cell.max() + 1), setting.rho)[:, :, cell]
    error = error + setting.spread * min(start, later) * seed_noise
    conflicting = (side == gaps.CONFLICTING)[:, None]
    error[0] = error[0] + setting.change * conflicting * (np.arange(T + 1) >= FULL)
    noise = special.ndtr(correlated(rng, (2, num_seeds, n), setting.rho))
    right = (noise >= error).astype(np.float32).transpose(0, 1, 3, 2)
    right[1, :, 0] = right[0, :, 0]  # the arms share generation 0
    return right


def measured(setting: Setting, right, label, group, side, levels) -> tuple[Gap, Gap]:
    if setting.measure == gaps.ALIGNMENT:
        gap = gaps.alignment(right, label, side)
    else:
        gap = gaps.rank_excess(right, label, group, levels)
    loop, without = (Gap(gap.value[a], gap.contribution[a], gap.stratum) for a in (0, 1))
    return loop, without


def shares(setting: Setting, num_seeds: int, runs: int) -> dict[str, float]:
    """Return the mean number of seeds, and the share of simulated runs in which each thing is said.

    num_seeds: at most, where `setting.width` decides.
    """
    rng = np.random.default_rng(num_seeds)
    label, group, side = test_set(setting)
    levels = gaps.levels_of(label, group, (CLASSES, setting.groups))
    window = np.arange(T + 1) >= FULL
    said = {"seeds": 0, "changed": 0, "effect": 0, "trend": 0, "grew": 0, "no change": 0}
    for _ in range(runs):
        right = simulated(rng, setting, num_seeds, label, group, side)
        loop, without = measured(setting, right, label, group, side, levels)
        num = enough(setting.width, loop, without, window) if setting.width else num_seeds
        loop, without = first_seeds(loop, num), first_seeds(without, num)
        asked = [questions.effect(loop, without, window), questions.trend(loop, without, window)]
        said["seeds"] += num
        margins = [SMALLEST, SMALLEST / (T - FULL)]
        first, second = questions.decide(list(zip(asked, margins, strict=True)))
        told = [v.word in (GREW, SHRANK) for v in (first, second)]
        said["changed"] += any(told)
        said["effect"] += (asked[0].p() or 1) < 0.05
        said["trend"] += (asked[1].p() or 1) < 0.05
        said["grew"] += first.word == GREW
        said["no change"] += first.word == NO_CHANGE
    return {name: count / runs for name, count in said.items()}


def first_seeds(gap: Gap, num: int) -> Gap:
    return Gap(gap.value[:num], gap.contribution[:num], gap.stratum)


def enough(width: float, loop: Gap, without: Gap, window: np.ndarray) -> int:
    """Return after how many seeds the effect's interval is at most `width` wide, or MOST."""
    for num in range(FEWEST, MOST):
        effect = questions.effect(first_seeds(loop, num), first_seeds(without, num), window)
        wide = effect.width()
        if wide is not None and wide <= width:
            return num
    return MOST


FALLS, RISES = {"error": 0.045, "later": 0.12}, {"error": 0.12, "later": 0.045}
NULL = (
    Setting("nothing changes"),
    Setting("accuracy falls 0.955 to 0.88", **FALLS),
    Setting("accuracy rises 0.88 to 0.955", **RISES),
    Setting("falls, few hard images carry all", hard=0.05, **FALLS),
    Setting("falls, correlation 0.8", rho=0.8, **FALLS),
    Setting("falls, 36 images a cell", cell=36, **FALLS),
    Setting("falls, 200 images a cell", cell=200, **FALLS),
    Setting("falls, 2 subgroups", groups=2, **FALLS),
    Setting("falls, 7 subgroups", groups=7, **FALLS),
    Setting("falls, one cell empty", empty=True, **FALLS),
    Setting("accuracy 0.995", error=0.005),
    Setting("accuracy 0.999", error=0.001),
)
SETTINGS = (
    *NULL,
    *(s._replace(name=f"rank gap: {s.name}", measure=gaps.RANK) for s in NULL),
    Setting("change 0.05", change=0.05, seeds=(5, 10)),
    Setting("change 0.03", change=0.03, seeds=(5, 10)),
    Setting("no change, 2,000 images", cell=67, seeds=(5, 10)),
    Setting("change 0.02, 2,000 images", cell=67, change=0.02, seeds=(5, 10)),
    Setting("by width: nothing changes", width=0.04, seeds=(MOST,)),
    Setting("by width: accuracy falls 0.955 to 0.88", width=0.04, seeds=(MOST,), **FALLS),
    Setting("by width: falls, correlation 0.8", width=0.04, rho=0.8, seeds=(MOST,), **FALLS),
    Setting("by width: change 0.03", width=0.04, change=0.03, seeds=(MOST,)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--only", default="", help="settings whose name holds these words")
    options = parser.parse_args()
    print("| setting | seeds | changed | effect | trend | grew | no change |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for setting in SETTINGS:
        for num_seeds in setting.seeds if options.only in setting.name else ():
            found = shares(setting, num_seeds, options.runs)
            seeds = f"{found.pop('seeds'):.3g}"
            cells = " | ".join(f"{value:.3f}" for value in found.values())
            print(f"| {setting.name} | {seeds} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
