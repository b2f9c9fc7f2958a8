"""How many images of each subgroup were generated, and dropped by the filter: read off the pixels,
or estimated by the judge (loop/judging.py), corrected for its confusion matrix on the test images
(metrics/mixture.py)."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
import scipy.stats

from jaxloop import keys
from jaxloop.devices import join, select, to_host
from jaxloop.loop import judging
from jaxloop.loop.experiment import Experiment, nothing, over_seeds
from jaxloop.loop.state import LoopState
from jaxloop.metrics import generated, mixture
from jaxloop.statistics import CONFIDENCE

RESAMPLES = 400


class Counts(NamedTuple):
    """Images of one seed by class and subgroup, the last column of unknown subgroup.

    total: of all generated images, [L G+1], int or (estimated) float, which may be below 0, and NaN
    where the judge cannot tell.  dropped: of those dropped.
    resampled: [R 2 L G+1], (total, dropped) of resamples; None where nothing is estimated.
    named: (total, dropped), int, as the judge names them: sums over subgroups are exact.
    """

    total: np.ndarray
    dropped: np.ndarray
    resampled: np.ndarray | None = None
    named: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def estimated(self) -> bool:
        return self.resampled is not None

    @property
    def exact(self) -> tuple[np.ndarray, np.ndarray]:
        """(total, dropped) whose sums over the subgroups of a class are counts, estimated or
        not."""
        return self.named or (self.total, self.dropped)

    def interval(self, function: Callable[[np.ndarray, np.ndarray], np.ndarray]):
        """Return the 95 % interval of function(total, dropped), in [0, 1], or None where nothing is
        estimated.

        Its value +- 1.96 standard errors, told by the middle 68 % of resamples, for an inverse has
        long tails.
        function: of [... L G+1] twice -> [...].
        """
        if self.resampled is None:
            return None
        values = function(self.resampled[:, 0], self.resampled[:, 1])
        value = function(self.total, self.dropped)
        if not np.isfinite(value) or np.isnan(values).mean() > 1 - CONFIDENCE:
            return None
        error = np.diff(np.nanquantile(values, scipy.stats.norm.cdf([-1, 1])))[0] / 2
        half = scipy.stats.norm.ppf((1 + CONFIDENCE) / 2) * error
        value = np.clip(value, 0, 1)
        return np.clip([value - half, value + half], 0, 1)


def counted(experiment: Experiment, kept, label, group) -> Counts:
    """Count images whose subgroups are known, or not: bool [n], int [n], int [n]."""
    shape = experiment.num_classes, experiment.num_groups
    total, dropped = generated.drops(kept, label, group, *shape)
    return Counts(np.asarray(total), np.asarray(dropped))


def count(experiment: Experiment, state: LoopState) -> list[Counts]:
    """Return the counts of a generation as the pixels tell them, one a seed."""
    columns = to_host(state.samples), to_host(state.selection)
    return [
        counted(experiment, selection.kept, samples.label, samples.group)
        for samples, selection in zip(*columns, strict=True)
    ]


class Judging:
    """The judge of one run, compiled, and its errors, which are worked out once."""

    def __init__(self, experiment: Experiment):
        self.experiment = experiment
        self.shape = experiment.num_classes, experiment.num_groups
        self._name_generated = over_seeds(experiment, judging.name_generated)
        self._name_test = over_seeds(experiment, judging.name_test)
        self._confusions: list[np.ndarray] = []  # one a seed, as soon as there is a judge

    def confusions(self, state: LoopState) -> list[np.ndarray]:
        """Return the confusion matrices on the test images, int [L G G] a seed."""
        if not self._confusions:
            variables, constants = _variables(state), self.experiment.constants
            named = to_host(self._name_test(nothing(variables), variables, constants))
            label, group = np.asarray(constants.test.label), np.asarray(constants.test.group)
            self._confusions = [
                np.asarray(mixture.confusion(one, label, group, *self.shape)) for one in named
            ]
        return self._confusions

    def count(self, state: LoopState) -> list[Counts]:
        """Return the estimated counts of a generation, one a seed."""
        inputs = join(_variables(state), state.samples)
        named = to_host(self._name_generated(nothing(inputs), inputs, self.experiment.constants))
        columns = self.confusions(state), named, to_host(state.samples), to_host(state.selection)
        estimates = []
        for seed, confusion, group, samples, selection in zip(
            self.experiment.seeds.values, *columns, strict=True
        ):
            root, generation = keys.root_key(seed), state.cursor.generation
            key = keys.stage_key(root, "judge/resample", generation)
            drops = generated.drops(selection.kept, samples.label, group, *self.shape)
            estimates.append(_estimated(key, confusion, drops))
        return estimates


def _variables(state: LoopState):
    return select(state.judge, lambda judge: judge.best)


def _estimated(key: jax.Array, confusion: np.ndarray, named: generated.Drops) -> Counts:
    """Return the counts that what the judge named, by kept and dropped images, speaks for."""
    total, dropped = (np.asarray(counts)[:, :-1] for counts in named)
    by_choice = np.stack([total - dropped, dropped])
    images = by_choice.sum(axis=-1, keepdims=True)

    def counts(shares) -> np.ndarray:
        """[... 2 L G] shares of kept and dropped images -> [... 2 L G+1] (total, dropped)."""
        kept, dropped = np.moveaxis(np.where(images > 0, shares, 0) * images, -3, 0)
        pair = np.stack([kept + dropped, dropped], axis=-3)
        return np.pad(pair, [(0, 0)] * (pair.ndim - 1) + [(0, 1)])

    resampled = mixture.resampled(key, confusion, by_choice, RESAMPLES)
    total, dropped = counts(mixture.shares(confusion, by_choice))
    exact = np.asarray(named.generated), np.asarray(named.dropped)
    return Counts(total, dropped, counts(resampled), exact)
