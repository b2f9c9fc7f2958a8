"""Where the loop waits for people: votes on the images just sampled (python -m jaxloop.review)."""

from pathlib import Path

import numpy as np

from jaxloop.devices import to_host
from jaxloop.errors import Waiting
from jaxloop.loop.experiment import Experiment
from jaxloop.loop.state import LoopState
from jaxloop.provenance import sheets, votes


def votes_of(experiment: Experiment, state: LoopState, workdir: Path) -> np.ndarray:
    """Return what people said of the images that wait for the filter: float32 [S n], NaN for no
    vote.

    Nobody is asked about a generator that diverged: nothing of it will be pushed.

    Raises:
      InputError: votes.jsonl cannot be read.
      Waiting: of some seed fewer than the share filter.reviewed of the images have a vote.
    """
    given = votes.read(workdir)
    scores = np.stack([
        votes.score(given, [sheets.sha256(image) for image in samples.image], samples.label)
        for samples in to_host(state.samples)
    ])  # fmt: skip
    alive = scores[~np.array(to_host(state.generator_diverged))]
    spec, values = experiment.spec, experiment.seeds.values
    progress = votes.progress(np.isfinite(alive), spec.filter.reviewed)
    if not progress.enough:
        each = f", {progress.needed // len(alive)} of each seed" if len(alive) > 1 else ""
        which = "" if values == spec.seeds else f" --generation {state.cursor.generation}"
        raise Waiting(
            f"generation {state.cursor.generation} waits for people: {progress.voted} of "
            f"{progress.total} images have a vote, {progress.needed} must{each}. Vote with\n"
            f"    python -m jaxloop.review {workdir}{which}\n"
            "and then start the run again with the same command."
        )
    return scores
