"""What an experiment is made of: every field, what it means and what it admits, said once, here.

The README's table is made from these lines (`python -m jaxloop.config`). Names in registries (data sets, generators, filters,
classifiers) are checked by their registries, before any work starts.
"""

import dataclasses
import math
import typing
from collections.abc import Callable
from dataclasses import dataclass


def _field(default, doc: str, allowed: str, ok: Callable[[typing.Any], bool] = lambda value: True):
    return dataclasses.field(default=default, metadata={"doc": doc, "allowed": allowed, "ok": ok})


MILLION = 10**6  # more of anything that is counted here is a typing error


def _int(default: int, low: int, doc: str, high: int = MILLION):
    allowed = (
        f"an integer >= {low}, at most a million"
        if high == MILLION
        else f"an integer in [{low}, {high}]"
    )
    return _field(default, doc, allowed, lambda v: low <= v <= high)


def _positive(default: float, doc: str):
    return _field(default, doc, "a number > 0", lambda v: 0 < v < math.inf)


def _share(default: float, doc: str):
    return _field(default, doc, "a number in [0, 0.99]", lambda v: 0 <= v <= 0.99)


def _one_of(default: str, doc: str, *names: str):
    return _field(default, doc, "one of " + ", ".join(names), lambda v: v in names)


def _is_color(matrix) -> bool:
    return all(
        len(row) == 3 and min(row) >= 0 and math.isclose(sum(row), 1, abs_tol=1e-6)
        for row in matrix
    )


@dataclass(frozen=True)
class Data:
    name: str = _field("digits", "the data set", "a registered name (checked by jaxloop.data)")
    path: str = _field(
        "",
        "folder (or .npz file) of a source that is read from disk; empty: the source's own",
        "a path",
    )
    image_size: int = _int(16, 8, "side of the square images, in pixels", 1024)
    color: tuple[tuple[float, ...], ...] = _field(
        (),
        "class x colour probabilities of the training set (rows: classes; columns: red, green, blue); empty: 1/3 each",
        "one row a class of three probabilities that sum to 1",
        _is_color,
    )
    test_color: str = _one_of(
        "uniform", "colours of the test set: 1/3 each (every subgroup measured equally well), or as in training",
        "uniform", "same",
    )  # fmt: skip
    seed: int = _int(
        0,
        0,
        "seed of the colouring and of the validation split; all run seeds share one data set",
        2**31 - 1,
    )
    validation: float = _field(
        0.1, "share of the real training images held out for early stopping", "a number in (0, 0.5]",
        lambda v: 0 < v <= 0.5,
    )  # fmt: skip


@dataclass(frozen=True)
class Loop:
    generations: int = _int(
        10, 0, "generations after generation 0 (which trains on real data alone)"
    )
    mix: float = _field(
        0.3, "mixing ratio p: images kept each generation, as a share of the real training set", "a number in (0, 10]",
        lambda v: 0 < v <= 10,
    )  # fmt: skip
    capacity: int = _int(3, 1, "capacity D of the queue, in generations", 1000)
    policy: str = _one_of(
        "fifo", "which generated images are trained on: those of the last D generations (the paper's); the last one's alone; "
        "all; or as many images as the real training set has, drawn anew each generation from real + all generated ones",
        "fifo", "replace", "accumulate", "accumulate_subsample",
    )  # fmt: skip
    real: str = _one_of(
        "fixed", "real images trained on beside them: all in every generation (the paper's; synthetic augmentation); only at "
        "the start, before there are generated ones (fully synthetic); or a share that is new in each generation (fresh data)",
        "fixed", "none", "fresh",
    )  # fmt: skip
    fresh: float = _field(
        0.2, "share of the real training images that a generation is given where `loop.real` is fresh; they come round again "
        "once all were used", "a number in (0, 1]", lambda v: 0 < v <= 1,
    )  # fmt: skip
    images: bool = _field(
        True, "keep every generated image in the workdir, for review and export", "a boolean"
    )


@dataclass(frozen=True)
class Generator:
    name: str = _field(
        "dcgan", "the generator", "a registered name (checked by jaxloop.generators)"
    )
    epochs: int = _int(
        100, 1, "passes over real data + queue, at most, each generation, from a new initialisation"
    )
    max_steps: int = _int(
        1600,
        0,
        "steps at most, each generation, so that a fuller queue does not mean a longer training; 0: no limit",
    )
    batch_size: int = _int(64, 2, "images a step")
    learning_rate: float = _positive(3e-3, "Adam's step size, for both networks of the GAN")
    width: int = _int(
        16, 2, "channels of the last hidden feature map; each coarser one has twice as many"
    )
    latent: int = _int(64, 1, "size of the latent vector z", 4096)
    truncation: float = _field(
        0.0, "sampling bias: components of z beyond it are drawn again, so that less means more typical images; 0: none",
        "a number in [0, 4]", lambda v: 0 <= v <= 4,
    )  # fmt: skip


@dataclass(frozen=True)
class Filter:
    name: str = _field(
        "uncertainty",
        "the expert that scores images",
        "a registered name (checked by jaxloop.filters)",
    )
    drop: float = _share(0.1, "share r of the generated images that is dropped")
    ranking: str = _one_of(
        "class",
        "images are ranked within each class, or over all classes, which can delete a class",
        "class",
        "all",
    )
    control: bool = _field(
        False, "also run the same from generation 0 on with a random choice at the same r, in the workdir's folder control",
        "a boolean",
    )  # fmt: skip
    classifier: str = _field(
        "", "whose uncertainty; empty: the first of `classifiers`", "one of `classifiers`"
    )
    passes: int = _int(20, 2, "forward passes with dropout on, of the filter mc_dropout", 1000)
    clip: str = _field(
        "", "the CLIP model of the filters clip and clip_uncertainty", "a folder, or a hub name"
    )
    template: str = _field(
        "{}", "the text that CLIP compares an image with; {} is the name of its class", "a text with one {} in it and no other brace",
        lambda v: v.count("{") == v.count("}") == v.count("{}") == 1,
    )  # fmt: skip
    weights: tuple[float, ...] = _field(
        (1.0, 1.0), "of CLIP's rank and of the uncertainty's, in the filter clip_uncertainty",
        "two numbers >= 0, not both 0", lambda v: len(v) == 2 and min(v) >= 0 and 0 < sum(v) < math.inf,
    )  # fmt: skip
    reviewed: float = _field(
        1.0, "share of a generation's images, of each seed, that people must have voted on before the filter human goes on",
        "a number in (0, 1]", lambda v: 0 < v <= 1,
    )  # fmt: skip


@dataclass(frozen=True)
class Classifier:
    epochs: int = _int(50, 1, "epochs at most")
    batch_size: int = _int(64, 2, "images a step")
    learning_rate: float = _positive(1e-3, "Adam's step size")
    patience: int = _int(10, 1, "epochs without a better validation loss before training stops")
    width: float = _field(
        1.0,
        "scales the channels of every network but LeNet",
        "a number in (0, 4]",
        lambda v: 0 < v <= 4,
    )
    stem: str = _one_of(
        "small",
        "the networks' variant for images of 28 to 32 pixels, or torchvision's own",
        "small",
        "imagenet",
    )
    image_size: int = _field(
        0, "side that images are resized to (bilinear, on the device) before a classifier sees them; 0: as they are",
        "0, or an integer in [8, 1024]", lambda v: v == 0 or 8 <= v <= 1024,
    )  # fmt: skip
    augment: str = _one_of(
        "none", "of the training images, anew each step: a random crop (an eighth of the side is padded), and a mirror",
        "none", "crop", "crop_flip",
    )  # fmt: skip
    pretrained: tuple[str, ...] = _field(
        (), "weights to start from instead of random ones, one file (or hub name) for each of `classifiers`",
        "paths of .safetensors files made by jaxloop.classifiers.pretrained, or hub names", lambda v: len(set(v)) == len(v),
    )  # fmt: skip


@dataclass(frozen=True)
class Measure:
    images: int = _int(
        10000,
        100,
        "real and generated images, at most, of the distances by class, KID, precision, recall, density, coverage",
    )
    bootstrap: int = _field(
        1000, "resamples of the test set for the intervals of a classifier's measures within a seed; 0: none",
        "0, or an integer in [100, 100000]", lambda v: v == 0 or 100 <= v <= 100_000,
    )  # fmt: skip
    fid: bool = _field(
        False, "measure the FID, in the features of the Inception-V3 of record", "a boolean"
    )
    inception: str = _field(
        "", "its weights", "a file made by python -m jaxloop.features.inception convert"
    )
    resize: str = _one_of(
        "tf", "how images come to its 299x299: as TensorFlow 1 did it (as in the literature), or antialiased",
        "tf", "clean",
    )  # fmt: skip
    clip: str = _field(
        "",
        "a CLIP model; where given, the distances are measured in its features too",
        "a folder, or a hub name",
    )


@dataclass(frozen=True)
class Checkpoint:
    every_seconds: float = _field(
        20.0, "seconds between checkpoints", "a number >= 0", lambda v: 0 <= v < math.inf
    )


@dataclass(frozen=True)
class Spec:
    """A whole experiment, resolved: what `config.json` holds."""

    seeds: tuple[int, ...] = _field(
        (0, 1, 2), "run seeds, all run together", "one or more different integers in [0, 2**31)",
        lambda v: len(set(v)) == len(v) > 0 and all(0 <= s < 2**31 for s in v),
    )  # fmt: skip
    data: Data = Data()
    loop: Loop = Loop()
    generator: Generator = Generator()
    filter: Filter = Filter()
    classifiers: tuple[str, ...] = _field(
        ("lenet", "alexnet"), "the classifiers", "one or more different registered names",
        lambda v: len(set(v)) == len(v) > 0,
    )  # fmt: skip
    classifier: Classifier = Classifier()
    measure: Measure = Measure()
    checkpoint: Checkpoint = Checkpoint()
    tensorboard: bool = _field(
        False, "also write TensorBoard event files (needs the extra `tensorboard`)", "a boolean"
    )
