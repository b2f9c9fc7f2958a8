"""The fields of an experiment: what each means and what it admits. `config.py` reads them.

A generator's own fields stand in its module, in a Config that extends `Generator`. Names in
registries (data sets, generators, filters, classifiers, evaluators, arms) are checked by their
registries.
"""

import math
import typing
from dataclasses import dataclass

from jaxloop.fields import (
    FOLDER_OR_HUB,
    choice,
    field,
    flag,
    integer,
    interval,
    path,
    positive,
    share,
)


def _is_color(matrix) -> bool:
    return all(len(r) == 3 and min(r) >= 0 and abs(sum(r) - 1) <= 1e-6 for r in matrix)


@dataclass(frozen=True)
class Data:
    name: str = field("digits", "the data set", "a registered name (checked by jaxloop.data)")
    path: str = path(
        "", "folder (or .npz file) of a source on disk; empty: the source's own", "a path"
    )
    image_size: int = integer(16, 8, "side of the square images, in pixels", 1024)
    color: tuple[tuple[float, ...], ...] = field(
        (),
        "class x colour probabilities of the training set (rows: classes; columns: red, green, "
        "blue); empty: 1/3 each",
        "one row a class of three probabilities that sum to 1",
        _is_color,
    )
    test_color: str = choice(
        "uniform same", "of the test set: 1/3 each (subgroups measured alike), or as in training"
    )
    seed: int = integer(
        0, 0, "seed of colouring and validation split; all run seeds share one data set", 2**31 - 1
    )
    validation: float = share(
        0.1, 0.5, "share of the real training images held out for early stopping"
    )
    memory: str = choice(
        "auto device host disk decoded",
        "where the training images are; auto: device where they take a fourth of it at most, else "
        "host likewise, else disk, decoded ahead of every step; decoded: in a file of the cache",
    )
    partial: bool = flag(
        False, "of BREEDS, only the classes of which the folder has two subclasses"
    )
    empty_cells: str = choice(
        "refuse allow", "where subgroups of a class have test and no training images: or say so"
    )
    held_out: float = interval(
        0.0, 0, 0.9, "share of each class x subgroup of training images set aside for a generator"
    )


@dataclass(frozen=True)
class Loop:
    generations: int = integer(10, 0, "generations after generation 0 (real data alone)")
    mix: float = share(
        0.3, 10, "mixing ratio p: images kept each generation, as a share of the real training set"
    )
    capacity: int = integer(3, 1, "capacity D of the queue, in generations", 1000)
    policy: str = choice(
        "fifo replace accumulate accumulate_subsample",
        "generated images trained on: of the last D generations (the paper's); the last one's "
        "alone; all; or as many as the real set has, drawn anew from real + all generated",
    )
    real: str = choice(
        "fixed none fresh",
        "real images trained on: all in every generation (the paper's; synthetic augmentation); "
        "only at the start (fully synthetic); or a share that is new in each (fresh data)",
    )
    fresh: float = share(
        0.2,
        1,
        "share of the real training images that a generation is given where `loop.real` is fresh; "
        "they come round again once all were used",
    )
    classes: str = choice(
        "even as_real", "of kept images: as many of each class, or in the real set's class shares"
    )
    images: bool = flag(True, "keep every generated image in the workdir, for review and export")


@dataclass(frozen=True)
class Optimizer:
    """Adam's fields, which generators and classifiers share."""

    learning_rate: float = positive(1e-3, "Adam's step size")
    weight_decay: float = interval(0.0, 0, 10, "decoupled weight decay (AdamW); 0: Adam")
    schedule: str = choice(
        "constant cosine",
        "of the step size; cosine: down to 0 over all steps that training may take",
    )
    warmup: float = interval(0.0, 0, 0.5, "share of those steps in which it rises linearly from 0")


@dataclass(frozen=True)
class Generator(Optimizer):
    """What the loop reads of every generator.

    reads: what its `create` is given beside: "held_out", the images that `data.held_out` sets
      aside; "class_names".
    """

    reads: typing.ClassVar[tuple[str, ...]] = ()
    name: str = field("dcgan", "the generator", "a registered name (checked by jaxloop.generators)")
    epochs: int = integer(
        100, 1, "passes over real data + queue, at most, each generation, from a new initialisation"
    )
    max_steps: int = integer(
        1600, 0, "steps at most, each generation, however full the queue is; 0: no limit"
    )
    batch_size: int = integer(64, 2, "images a step")


@dataclass(frozen=True)
class Filter:
    name: str = field(
        "uncertainty", "who scores images", "a registered name (checked by jaxloop.filters)"
    )
    drop: float = interval(0.1, 0, 0.99, "share r of the generated images that is dropped")
    ranking: str = choice(
        "class all",
        "images are ranked within each class, or over all classes, which can delete a class",
    )
    classifier: str = field(
        "", "whose uncertainty; empty: the first of `classifiers`", "one of `classifiers`"
    )
    passes: int = integer(20, 2, "forward passes with dropout on, of the filter mc_dropout", 1000)
    clip: str = path("", "the CLIP model of the filters clip and clip_uncertainty", FOLDER_OR_HUB)
    template: str = field(
        "{}",
        "the text that CLIP compares an image with; {} is the name of its class",
        "a text with one {} in it and no other brace",
        lambda v: v.count("{") == v.count("}") == v.count("{}") == 1,
    )
    weights: tuple[float, ...] = field(
        (1.0, 1.0),
        "of CLIP's rank and of the uncertainty's, in the filter clip_uncertainty",
        "two numbers >= 0, not both 0",
        lambda v: len(v) == 2 and min(v) >= 0 and 0 < sum(v) < math.inf,
    )
    reviewed: float = share(
        1.0, 1, "share of each seed's images that people must have voted on before the filter human"
    )


@dataclass(frozen=True)
class Classifier(Optimizer):
    epochs: int = integer(50, 1, "at most, each of as many steps as the real images fill batches")
    batch_size: int = integer(64, 2, "images a step")
    patience: int = integer(10, 1, "epochs without a better validation loss before training stops")
    width: float = share(1.0, 4, "scales the channels of every network but LeNet")
    stem: str = choice(
        "small imagenet",
        "the networks' variant for images of 28 to 32 pixels, or torchvision's own",
    )
    image_size: int = field(
        0,
        "side that images are resized to (bilinear, on the device) for a classifier; 0: none",
        "0, or an integer in [8, 1024]",
        lambda v: v == 0 or 8 <= v <= 1024,
    )
    augment: str = choice(
        "none crop crop_flip resized_crop_flip",
        "of training images, anew each step: a random crop (an eighth of the side padded), a "
        "mirror; resized: of 8 to 100 % of the area, as is usual for photographs",
    )
    trained: str = choice(
        "all head head_first",
        "of a network with pretrained weights: all, its last layer, or that for 5 epochs first",
    )
    label_smoothing: float = interval(0.0, 0, 0.9, "share of a label spread over all classes")
    pretrained: tuple[str, ...] = field(
        (),
        "weights to start from instead of random ones, one file (or hub name) for each of "
        "`classifiers`",
        "paths of .safetensors files made by jaxloop.classifiers.pretrained, or hub names",
        lambda v: len(set(v)) == len(v),
    )


@dataclass(frozen=True)
class Measure:
    evaluators: tuple[str, ...] = field(
        ("classification", "training", "generation", "distances", "filtering"),
        "what is measured of every generation",
        "different registered names (checked by jaxloop.evaluators)",
        lambda v: len(set(v)) == len(v),
    )
    images: int = integer(
        10000, 100, "real and generated images, at most, of KID, neighbours and distances by class"
    )
    bootstrap: int = field(
        1000,
        "resamples of the test set for the intervals of a classifier's measures in a seed; 0: none",
        "0, or an integer in [100, 100000]",
        lambda v: v == 0 or 100 <= v <= 100_000,
    )
    fid: bool = flag(False, "measure the FID, in the features of the Inception-V3 of record")
    inception: str = path(
        "", "its weights", "a file made by python -m jaxloop.features.inception convert"
    )
    resize: str = choice(
        "tf clean", "to its 299x299: as TensorFlow 1 did it (as in the literature), or antialiased"
    )
    clip: str = path("", "a CLIP model; distances are measured in its features too", FOLDER_OR_HUB)
    judge: str = field(
        "",
        "a classifier that is trained on the subgroups of the real images and estimates their "
        "shares among generated ones, where pixels do not tell; empty: none",
        "empty, or a registered name",
    )


@dataclass(frozen=True)
class Answer:
    """What counts as a change, and what is asked of a generator (docs/verdicts.md)."""

    smallest: float = share(
        0.02, 1, "changes of the bias measure below this count as none, in units of accuracy"
    )
    width: float = interval(
        0.0, 0, 1, "add seeds one by one until every interval of EFFECT is this narrow; 0: none"
    )
    max_seeds: int = integer(30, 2, "seeds at most where answer.width adds them", 1000)
    max_imbalance: float = share(0.1, 1, "imbalance u of generation 1, beyond chance, let pass")
    min_recall: float = interval(0.5, 0, 1, "recall of generation 1 that the gate asks")
    min_coverage: float = interval(0.5, 0, 1, "coverage of generation 1 that the gate asks")
    min_agreement: float = interval(0.9, 0, 1, "label agreement of generation 1 that the gate asks")
    min_diversity: float = interval(0.6, 0, 2, "diversity within subgroups that the gate asks")


@dataclass(frozen=True)
class Devices:
    seeds: str = choice(
        "auto together in_turn",
        "seeds trained together (vmapped, spread over devices) or in turn; auto: in turn on CPUs",
    )
    dtype: str = choice(
        "auto float32 bfloat16",
        "of the networks' computations; parameters, statistics and losses stay float32; auto: "
        "float32 on CPUs, bfloat16 elsewhere",
    )


@dataclass(frozen=True)
class Checkpoint:
    every_seconds: float = field(
        20.0, "seconds between checkpoints", "a number >= 0", lambda v: 0 <= v < math.inf
    )


@dataclass(frozen=True)
class Spec:
    """A whole experiment, resolved: what `config.json` holds."""

    seeds: tuple[int, ...] = field(
        (0, 1, 2),
        "run seeds",
        "one or more different integers in [0, 2**31)",
        lambda v: len(set(v)) == len(v) > 0 and all(0 <= s < 2**31 for s in v),
    )
    data: Data = Data()
    loop: Loop = Loop()
    generator: Generator = Generator()
    filter: Filter = Filter()
    classifiers: tuple[str, ...] = field(
        ("lenet", "alexnet"),
        "the classifiers",
        "one or more different registered names",
        lambda v: len(set(v)) == len(v) > 0,
    )
    classifier: Classifier = Classifier()
    measure: Measure = Measure()
    answer: Answer = Answer()
    arms: tuple[str, ...] = field(
        ("no_loop",),
        "the same experiment with a part replaced, played beside it from generation 0 on with the "
        "same random numbers: no_loop (classifiers see real images alone: all of them, whatever "
        "`loop.real` is) and random (a random choice at the same r in the filter's place)",
        "different registered names (checked by jaxloop.loop.arms); empty: none",
        lambda v: len(set(v)) == len(v),
    )
    devices: Devices = Devices()
    checkpoint: Checkpoint = Checkpoint()
    tensorboard: bool = flag(False, "also write TensorBoard event files (extra `tensorboard`)")
