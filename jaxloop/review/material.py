"""What a review is of: one generation of a run, read once, and kept in memory."""

import json
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
    """class_names: of the classes, by number.  filter: the group `filter` of the run's configuration.
    lines: of every image of the generation, seed after seed.  block: what every rater is to see of it, real ones among
    it.  rest: the other generated ones.  sheets: {seed: its images, None: the real ones}, uint8 [n h w 3] each."""

    workdir: Path
    generation: int
    class_names: list[str]
    filter: dict
    lines: list[dict]
    block: list[Picture]
    rest: list[Picture]
    sheets: dict[int | None, np.ndarray]

    @property
    def pictures(self) -> list[Picture]:
        return self.block + self.rest

    @property
    def num_real(self) -> int:
        return sum(picture.real for picture in self.block)

    def image(self, picture: Picture) -> np.ndarray:
        """uint8 [h w 3]."""
        return self.sheets[picture.seed][picture.index]

    @property
    def by_class(self) -> bool:
        """Whether the filter ranks within each class; runs of versions without the field did."""
        return self.filter.get("ranking", "class") == "class"

    @property
    def waits(self) -> bool:
        """Whether the run waited, when it was read, for people to vote on this generation."""
        return self.filter["name"] == "human" and any(line["kept"] is None for line in self.lines)


def load(workdir: str | os.PathLike, generation: int | None, share: float) -> Material:
    """Reads a generation, the last one if None, and a `share` in [0, 1) of real pictures for each class beside it.

    Raises InputError if the folder, its images or the generation is missing, or if it has no real pictures to mix in.
    """
    path = Path(workdir)
    if not path.is_dir():
        raise InputError("WORKDIR", str(workdir), "the folder of a run")
    config = _config(path / "config.json")
    seeds = _seeds(path, generation)
    generation = seeds[0][0]
    sheets = {seed: store.pictures(path, generation, seed) for _, seed in seeds}
    lines = [line for _, seed in seeds for line in store.lines(path, generation, seed)]
    made, real = deck.generated(lines), []
    if share > 0:
        stock, sheets[None] = store.real(path)
        if not stock:
            raise InputError(
                "--real", share, f"0 for this run: no real pictures lie in {path / 'images'}"
            )
        real = deck.real(stock, made, share, generation, config["config"]["loop"]["generations"])
        if not real:
            raise InputError(
                "--real",
                share,
                f"0 for generation {generation}: none of the real pictures falls to it",
            )
    block = deck.block(made, real, share)
    known = set(block)
    rest = [picture for picture in made if picture not in known]
    class_names, filter_ = config["data"]["class_names"], config["config"]["filter"]
    return Material(path, generation, class_names, filter_, lines, block, rest, sheets)


def progress(material: Material, standing: Iterable[Key]) -> Progress:
    """How far people are with the generation, as a run that waits for them counts it. standing: of which votes stand.

    A run does not wait for votes on what a generator made that diverged, of which nothing is kept.
    """
    voted = {key[1:] for key in standing}
    of_seed: dict[int, list[bool]] = {}
    waiting = [line for line in material.lines if line["kept"] is None]
    for line in waiting or material.lines:
        of_seed.setdefault(line["seed"], []).append((line["sha256"], line["class"]) in voted)
    scores = [
        np.where(seen, 0, np.nan) for seen in of_seed.values()
    ]  # whichever: that there is one is what counts
    return votes.progress(scores, material.filter.get("reviewed", 0))


def _config(path: Path) -> dict:
    try:
        config = json.loads(path.read_text())
        (
            config["data"]["class_names"],
            config["config"]["filter"]["name"],
            config["config"]["loop"]["generations"],
        )
    except OSError as error:
        raise InputError("config.json", str(path), f"a readable file ({error.strerror})") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            "config.json", str(path), f"the configuration that a run wrote ({error!r})"
        ) from None
    return config


def _seeds(path: Path, generation: int | None) -> list[tuple[int, int]]:
    """(generation, seed) of every sheet of the generation asked for."""
    made = [pair for pair in store.made(path) if store.sheet(path, *pair).exists()]
    if not made:
        raise InputError(
            "WORKDIR", str(path), "a run that made images and kept them (config.loop.images=True)"
        )
    known = sorted({g for g, _ in made})
    wanted = known[-1] if generation is None else generation
    if wanted not in known:
        raise InputError("--generation", wanted, f"one of {', '.join(map(str, known))}")
    return [pair for pair in made if pair[0] == wanted]
