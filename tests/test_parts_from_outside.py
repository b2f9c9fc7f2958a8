"""One file and one line: a source, a generator, a classifier, an expert, an evaluator and an arm
from outside the package. docs/extending.md shows these lines."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxloop import classifiers, config, data, evaluators, fields, filters, generators, spec
from jaxloop.analysis.measures import Name
from jaxloop.analysis.run_folder import load
from jaxloop.errors import InputError
from jaxloop.generators.base import Generator
from jaxloop.loop import arms
from jaxloop.records import Log
from jaxloop.run import build, driver
from jaxloop.types import Dataset, Samples
from tests.playing import play


# A source [source]
def stripes(config: spec.Data) -> Dataset:
    def samples(num: int, seed: int) -> Samples:
        draw, label = np.random.default_rng(seed), np.arange(num) % 2
        image = draw.integers(0, 80, (num, config.image_size, config.image_size, 3))
        image[label == 0, ::2] += 150  # rows
        image[label == 1, :, ::2] += 150  # columns
        group = draw.integers(0, 2, num)
        return Samples(image.astype(np.uint8), label.astype(np.int32), group.astype(np.int32))

    masks = {"masks": np.ones((40, config.image_size, config.image_size), bool)}
    names, groups = ("rows", "columns"), ("a", "b")
    return Dataset(samples(200, 0), samples(40, 1), names, groups, None, (), test_extras=masks)


# A generator [generator]
@dataclass(frozen=True)
class BlendConfig(spec.Generator):
    sharpness: float = fields.interval(1.0, 0, 2, "contrast of the samples; above 1: more typical")


def blend(
    config: BlendConfig, num_classes: int, image_size: int, num_steps: int, dtype
) -> Generator:
    """Sample the running mean of a class."""

    def init(key, generation):
        return jnp.zeros((num_classes, image_size, image_size, 3))

    def update(key, constants, state, batch: Samples):
        one_hot = jax.nn.one_hot(batch.label, num_classes)
        mean = jnp.einsum("nl,nhwc->lhwc", one_hot, batch.image.astype(jnp.float32) / 255)
        mean = mean / one_hot.sum(axis=0)[:, None, None, None].clip(1)
        return 0.9 * state + 0.1 * mean, {"generator/loss": jnp.abs(mean - state).mean()}

    def sample(key, constants, state, label):
        noise = 0.1 * jax.random.normal(key, (len(label), image_size, image_size, 3))
        image = 0.5 + config.sharpness * (state[label] - 0.5) + noise
        return (255 * image.clip(0, 1)).astype(jnp.uint8)

    return Generator(init, update, sample, sample_batch=16)


# A classifier [classifier]
class Linear(nn.Module):
    num_classes: int
    small: bool
    width: float
    dtype: type

    @nn.compact
    def __call__(self, x, *, train: bool, features: bool = False):
        x = x.reshape(len(x), -1).astype(self.dtype)
        return x.astype(jnp.float32) if features else nn.Dense(self.num_classes)(x)


# An expert [expert]
def brightness(key, evidence: filters.Evidence):
    return evidence.image.astype(jnp.float32).mean(axis=(1, 2, 3))


# An evaluator [evaluator]
def masked_accuracy(experiment):
    test = experiment.constants.test
    masks = np.asarray(test.extras(np.arange(len(test.label)))["masks"])

    def evaluate(state):
        logs = [Log(seed, state.cursor.generation) for seed in experiment.seeds.values]
        for log in logs:
            log.add("test", "mask_share", masks.mean())
        return [record for log in logs for record in log.records]

    return evaluate


# An arm [arm]
def grey(experiment):
    """Show the classifiers real images without colour."""
    train = experiment.constants.train
    mean = train.image.mean(axis=-1, keepdims=True).astype(np.uint8)
    train = train._replace(image=jnp.broadcast_to(mean, train.image.shape))
    return experiment._replace(constants=experiment.constants._replace(train=train))


# end


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(data.SOURCES, "stripes", stripes)
    monkeypatch.setitem(generators.GENERATORS, "blend", (BlendConfig, blend))
    monkeypatch.setitem(classifiers.MODULES, "linear", Linear)
    monkeypatch.setitem(filters.EXPERTS, "brightness", filters.Expert(brightness))
    evaluator = evaluators.Evaluator(masked_accuracy, needs=("masks",))
    monkeypatch.setitem(evaluators.EVALUATORS, "masked_accuracy", evaluator)
    monkeypatch.setitem(arms.ARMS, "grey", arms.Arm(grey))


def configured():
    c = config.default()
    c.seeds, c.loop.generations, c.classifiers = (0,), 1, ("linear",)
    c.data.name, c.generator.name, c.filter.name = "stripes", "blend", "brightness"
    c.generator.sharpness, c.generator.epochs, c.classifier.epochs = 1.5, 3, 5
    c.measure.evaluators = (*c.measure.evaluators, "masked_accuracy")
    return c


def test_the_loop_runs_with_parts_from_outside(registered):
    c = configured()
    experiment = build.build(config.resolve(c), devices=jax.devices()[:1])[0]
    state, log = play(experiment, count=2)
    value = {
        (r["generation"], r["subject"], r["metric"]): r["value"]
        for r in log
        if not {"class", "group", "rank", "epoch", "rarity"} & r.keys()
    }
    assert value[1, "linear", "accuracy"] > 0.9 and value[1, "test", "mask_share"] == 1
    kept = np.asarray(state.selection[0].kept)
    bright = np.asarray(state.samples[0].image, float).mean(axis=(1, 2, 3))
    for label in (0, 1):
        of_class = np.asarray(state.samples[0].label) == label
        assert bright[of_class & kept].min() >= bright[of_class & ~kept].max()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Sharding info not provided")
def test_an_arm_from_outside_is_played_beside_the_run(registered, tmp_path, one_device):
    c = configured()
    c.arms, c.measure.bootstrap = ("grey", "no_loop"), 0
    driver.run(config.resolve(c), tmp_path)
    run = load(tmp_path)
    assert run.arms.keys() == {"grey", "no_loop"}
    tables = [one.table(Name("linear", "accuracy")) for one in (run, *run.arms.values())]
    assert all(table[0].equals(tables[0][0]) for table in tables)
    assert not run.arms["grey"].records.value.equals(run.records.value)
    assert run.arms["no_loop"].table(Name("test", "mask_share"))[1].item() == 1  # needs no samples


def test_an_evaluator_is_refused_where_the_data_lack_what_it_needs(registered):
    c = configured()
    c.data.name, c.classifiers = "digits", ("lenet",)
    with pytest.raises(InputError, match="masked_accuracy needs masks, which this data set lacks"):
        build.build(config.resolve(c), devices=jax.devices()[:1])


def test_the_field_of_another_generator_is_refused(registered):
    c = configured()
    c.generator.truncation = 0.5
    with pytest.raises(
        InputError, match=r"config.generator.truncation=0.5 .* no field of the gener"
    ):
        config.resolve(c)
    c = configured()
    c.generator.sharpness = 3.0
    with pytest.raises(InputError, match=r"config.generator.sharpness=3.0 .* in \[0, 2\]"):
        config.resolve(c)
