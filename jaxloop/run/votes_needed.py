"""Where the loop waits for people: votes on the images that were just made (python -m jaxloop.review)."""

from pathlib import Path

import numpy as np

from jaxloop.errors import Waiting
from jaxloop.loop.experiment import Parts
from jaxloop.loop.state import LoopState
from jaxloop.provenance import sheets, votes


def asked(parts: Parts, state: LoopState, workdir: Path) -> np.ndarray:
    """What people said of the images that wait for the filter: float32 [S n], as `filters.Seen.votes`.

    Nobody is asked about a generator that diverged: nothing of it will be pushed.

    Raises:
      InputError: votes.jsonl cannot be read.
      Waiting: of some seed fewer than the share filter.reviewed of the images have a vote.
    """
    samples = state.pending.samples
    image, label = np.asarray(samples.image), np.asarray(samples.label)
    given = votes.read(workdir)
    scores = np.stack([
        votes.score(given, [sheets.sha256(one) for one in images], labels)
        for images, labels in zip(image, label, strict=True)
    ])  # fmt: skip
    alive = scores[~np.asarray(state.generator_diverged)]
    progress = votes.progress(alive, parts.spec.filter.reviewed)
    if not progress.enough:
        each = f", {progress.needed // len(alive)} of each seed" if len(alive) > 1 else ""
        raise Waiting(
            f"generation {state.cursor.generation} waits for people: {progress.voted} of {progress.of} images have a vote, "
            f"{progress.needed} must{each}. Vote with\n    python -m jaxloop.review {workdir}\n"
            "and then start the run again with the same command."
        )
    return scores
