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

    def progress(self, standing: Iterable[Key]) -> Progress:
        """Return how far people are, by the keys of `standing` votes, as the waiting run counts it.

        A run does not wait for votes on what a diverged generator made.
        """
        voted = {key[1:] for key in standing}
        waiting = [line for line in self.lines if line["kept"] is None] or self.lines
        seeds = votes.grouped((x["seed"], (x["sha256"], x["class"]) in voted) for x in waiting)
        return votes.progress(seeds.values(), self.filter["reviewed"])


def load(workdir: str | os.PathLike, generation: int | None, share: float) -> Material:
    """Read a generation, the last one if None, and real pictures: a `share` in [0, 1) of all.

    Raises InputError if the folder, its images, the generation or the real pictures are missing.
    """
    path = Path(workdir)
    if not path.is_dir():
        raise InputError("WORKDIR", str(workdir), "the folder of a run")
    config = store.config(path)
    seeds = votes.grouped(pair for pair in store.pairs(path) if store.sheet(path, *pair).exists())
    if not seeds:
        allowed = "a run that made images and kept them (config.loop.images=True)"
        raise InputError("WORKDIR", str(path), allowed)
    number = max(seeds) if generation is None else generation
    if number not in seeds:
        raise InputError("--generation", number, map(str, seeds))
    sheets: dict = {seed: store.pictures(path, number, seed) for seed in seeds[number]}
    lines = [line for seed in sheets for line in store.lines(path, number, seed)]
    real, sheets[None] = store.real(path) if share > 0 else ([], None)
    generated, last = deck.generated(lines), config["config"]["loop"]["generations"]
    block = deck.block(generated, real, share, number, last)
    if share > 0 and not any(picture.real for picture in block):
        place = f"0 for generation {number}: none of the real pictures falls to it"
        nowhere = f"0 for this run: no real pictures lie in {path / 'images'}"
        raise InputError("--real", share, place if real else nowhere)
    in_block = set(block)
    remainder = [picture for picture in generated if picture not in in_block]
    class_names, filter_ = config["data"]["class_names"], config["config"]["filter"]
    return Material(path, number, class_names, filter_, lines, block, remainder, sheets)
