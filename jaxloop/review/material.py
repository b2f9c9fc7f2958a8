"""One generation of a run, read once and kept in memory."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxloop.errors import InputError
from jaxloop.provenance import store, votes
from jaxloop.provenance.votes import Key, Progress
from jaxloop.review import deck
from jaxloop.review.deck import Picture


class Material(NamedTuple):
    """What is reviewed."""

    workdir: Path
    generation: int
    class_names: list[str]
    filter: dict  # the group of the run's configuration
    lines: list[dict]  # of every image of the generation, seed after seed
    block: list[Picture]  # see deck
    remainder: list[Picture]
    sheets: dict[int | None, np.ndarray]  # {seed, None for real ones: uint8 [n h w 3]}

    @property
    def pictures(self) -> list[Picture]:
        return self.block + self.remainder

    @property
    def num_real(self) -> int:
        return sum(picture.real for picture in self.block)

    @property
    def waits(self) -> bool:
        """Return whether the run, when it was read, waited for votes on this generation."""
        return self.filter["name"] == "human" and any(line["kept"] is None for line in self.lines)


def load(workdir: str | os.PathLike, generation: int | None, share: float) -> Material:
    """Read a generation, the last one if None, and real pictures: a `share` in [0, 1) of all.

    Raises InputError if the folder, its images, the generation or the real pictures are missing.
    """
    path = Path(workdir)
    if not path.is_dir():
        raise InputError("WORKDIR", str(workdir), "the folder of a run")
    config = store.config(path)
    pairs = _pairs(path, generation)
    generation = pairs[0][0]
    sheets: dict = {seed: store.pictures(path, generation, seed) for _, seed in pairs}
    lines = [line for _, seed in pairs for line in store.lines(path, generation, seed)]
    generated, real = deck.generated(lines), []
    if share > 0:
        stock, sheets[None] = store.real(path)
        if not stock:
            allowed = f"0 for this run: no real pictures lie in {path / 'images'}"
            raise InputError("--real", share, allowed)
        last = config["config"]["loop"]["generations"]
        real = deck.real(stock, generated, share, generation, last)
        if not real:
            allowed = f"0 for generation {generation}: none of the real pictures falls to it"
            raise InputError("--real", share, allowed)
    block = deck.block(generated, real, share)
    in_block = set(block)
    remainder = [picture for picture in generated if picture not in in_block]
    class_names, filter_ = config["data"]["class_names"], config["config"]["filter"]
    return Material(path, generation, class_names, filter_, lines, block, remainder, sheets)


def progress(material: Material, standing: Iterable[Key]) -> Progress:
    """Return how far people are with the generation, as a run that waits for them counts it.

    A run does not wait for votes on what a diverged generator made.

    Args:
      standing: keys of the standing votes.
    """
    voted = {key[1:] for key in standing}
    waiting = [line for line in material.lines if line["kept"] is None] or material.lines
    # Of each seed any number for a picture with a vote, NaN without.
    scores = votes.grouped(
        (line["seed"], 0 if (line["sha256"], line["class"]) in voted else np.nan)
        for line in waiting
    )
    return votes.progress(list(map(np.array, scores.values())), material.filter["reviewed"])


def _pairs(path: Path, generation: int | None) -> list[tuple[int, int]]:
    """Return (generation, seed) of every sheet of the generation asked for."""
    pairs = [pair for pair in store.pairs(path) if store.sheet(path, *pair).exists()]
    if not pairs:
        allowed = "a run that made images and kept them (config.loop.images=True)"
        raise InputError("WORKDIR", str(path), allowed)
    known = sorted({g for g, _ in pairs})
    wanted = known[-1] if generation is None else generation
    if wanted not in known:
        raise InputError("--generation", wanted, f"one of {', '.join(map(str, known))}")
    return [pair for pair in pairs if pair[0] == wanted]
