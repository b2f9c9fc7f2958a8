"""The laws of the loop, on a tiny experiment with real digits."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop import config, devices, records
from jaxloop.devices import lay_out, put_seeds, select, to_host
from jaxloop.generators import dcgan
from jaxloop.loop import advance, stages
from jaxloop.loop.experiment import Experiment
from jaxloop.loop.state import LoopState, on_devices, on_host
from jaxloop.run import build, checkpoint
from tests.conftest import tiny
from tests.playing import play, same, same_state, seed_of, start

ONE_DEVICE = jax.devices()[:1]


@pytest.fixture(scope="module")
def built(tiny_experiment):
    return stages.build(tiny_experiment)


@pytest.fixture(scope="module")
def whole(tiny_experiment, built):
    return play(tiny_experiment, built)


def changed(experiment: Experiment, **groups) -> Experiment:
    """Return the experiment with other fields: group={field: value}."""
    spec = experiment.spec
    for name, fields in groups.items():
        group = getattr(spec, name)
        value = dataclasses.replace(group, **fields) if isinstance(fields, dict) else fields
        spec = dataclasses.replace(spec, **{name: value})
    seeds = lay_out(spec.seeds, spec.devices.seeds, ONE_DEVICE)
    return experiment._replace(spec=spec, seeds=seeds)


def test_every_measure_is_recorded_once(tiny_experiment, whole):
    _, log = whole
    assert len({records.key(r) for r in log}) == len(log)
    present = {(r["seed"], r["generation"], r["subject"], r["metric"]) for r in log}
    classifier = {"accuracy", "meo", "di", "md", "meo_per_class", "di_per_class", "md_per_class"}
    classifier |= {"group_accuracy", "epochs_trained", "diverged", "loss", "gradient_norm"}
    generator = {"frechet_distance", "kid", "recall", "label_agreement", "within_class_diversity"}
    generator |= {"subgroup_share", "unknown_share", "diverged", "loss", "gradient_norm"}
    for seed in tiny_experiment.seeds.values:
        for generation in range(tiny_experiment.spec.loop.generations + 1):
            wanted = {(name, m) for name in tiny_experiment.trainers for m in classifier}
            if generation:
                wanted |= {("generator", m) for m in generator} | {("filter", "drop_rate")}
            assert {(seed, generation, *w) for w in wanted} <= present
    ranks = {r.get("rank") for r in log if r["metric"] == "accuracy"}
    assert ranks == {None, 1, 2, 3}


def test_records_agree_with_each_other(whole):
    table = records.frame(whole[1])
    plain = table[table["class"].isna() & table["rank"].isna()]
    of_group = plain[plain.metric == "group_accuracy"]
    keys = ["seed", "generation", "subject"]
    spread = of_group.groupby(keys)["value"].agg(["min", "max"])
    accuracy = plain[plain.metric == "accuracy"].set_index(keys)["value"].sort_index()
    md = plain[plain.metric == "md"].set_index(keys)["value"].sort_index()
    assert len(accuracy) == 12
    assert (spread["min"] - 1e-6 <= accuracy).all() and (accuracy <= spread["max"] + 1e-6).all()
    np.testing.assert_allclose(md, spread["max"] - spread["min"], atol=1e-6)


def test_training_signals_are_means_by_epoch(tiny_experiment, whole):
    state, log = whole
    rows = [r for r in log if "epoch" in r and r["generation"] == 2]
    for subject, metric, split in (
        ("lenet", "loss", "training"),
        ("lenet", "loss", "validation"),
        ("lenet", "gradient_norm", "training"),
        ("generator", "loss", "training"),
        ("discriminator", "gradient_norm", "training"),
    ):
        of_one = [
            r for r in rows if (r["subject"], r["metric"], r["split"]) == (subject, metric, split)
        ]
        assert [(r["seed"], r["epoch"]) for r in of_one] == [(0, 1), (0, 2), (1, 1), (1, 2)]
        assert all(0 < r["value"] < 100 for r in of_one)
    best = [r["value"] for r in log if r["metric"] == "validation_loss" and r["subject"] == "lenet"]
    validation = [r for r in log if r.get("split") == "validation" and r["subject"] == "lenet"]
    first = [r["value"] for r in validation if r["generation"] == 0 and r["seed"] == 0]
    assert best[0] == min(first)
    steps = to_host(select(state.generator, lambda g: g.steps))[0]
    assert steps.tolist() == [(1293 + 390) // 128] * 2


def test_the_queue_holds_what_was_kept_and_never_more_than_its_capacity(tiny_experiment, whole):
    host = on_host(whole[0])
    for i in range(len(tiny_experiment.seeds.values)):
        assert int(host.queue.size[i]) == tiny_experiment.capacity
        kept = tiny_experiment.num_kept
        assert np.bincount(host.queue.born[i]).tolist() == [0, kept, kept]
    assert (host.selection.kept.sum(axis=1) == tiny_experiment.num_kept).all()


@pytest.mark.slow
def test_seeds_alone_equal_seeds_together(tiny_experiment, whole):
    state, log = whole
    for i, seed in enumerate(tiny_experiment.seeds.values):
        alone, alone_log = play(changed(tiny_experiment, seeds=(seed,)))
        same(seed_of(alone, 0), seed_of(state, i))
        assert alone_log == [r for r in log if r["seed"] == seed]
    assert not np.array_equal(*jax.tree.leaves(on_host(state).classifiers["lenet"].variables)[0])


@pytest.mark.parametrize("count", [1, 3, 7])
def test_chunk_length_changes_no_bit(tiny_experiment, built, whole, count):
    """Also of sampling: two batches of it, one call each where count is 1."""
    state, log = play(tiny_experiment, built, count=count)
    same_state(state, whole[0])
    assert log == whole[1]


def test_resume_anywhere_is_bit_equal(tiny_experiment, built, whole, tmp_path):
    """In the middle of training and of sampling, by calls of two steps."""
    count, calls, in_sampling = 2, 0, None
    state, seeds = start(tiny_experiment, built), advance.seeds_on_devices(tiny_experiment)
    while not advance.finished(tiny_experiment, state.cursor):
        state, calls = advance.step(built, seeds, state, count), calls + 1
        if built[state.cursor.stage].name == "sample" and in_sampling is None:
            in_sampling = calls
    draw = np.random.default_rng(0)
    cuts = [*draw.choice(np.arange(1, calls), size=4, replace=False), in_sampling]
    for cut in sorted(cuts):
        first, early = play(tiny_experiment, built, calls=int(cut), count=count)
        store = checkpoint.Checkpoints(tmp_path / str(cut))
        store.save(first)
        saved = on_host(first)
        store.close()
        store = checkpoint.Checkpoints(tmp_path / str(cut))
        restored = store.latest(advance.initial(tiny_experiment, built)).state
        store.close()
        same(restored, saved)
        restored = on_devices(restored, tiny_experiment.seeds)
        last, late = play(tiny_experiment, built, state=restored)
        same_state(last, whole[0])
        assert early + late == whole[1]


def test_a_save_is_of_the_moment_it_was_asked_for(tiny_experiment, built, tmp_path):
    """Saving goes on while training changes the donated memory of what is saved."""
    state, seeds = start(tiny_experiment, built), advance.seeds_on_devices(tiny_experiment)
    store = checkpoint.Checkpoints(tmp_path)
    for _ in range(4):
        state = advance.step(built, seeds, state, 2)
    saved = on_host(state)
    store.save(state)
    for _ in range(6):
        state = advance.step(built, seeds, state, 2)
    store.close()
    store = checkpoint.Checkpoints(tmp_path)
    same(store.latest(advance.initial(tiny_experiment, built)).state, saved)
    store.close()


def test_an_empty_folder_has_no_checkpoint(tiny_experiment, built, tmp_path):
    store = checkpoint.Checkpoints(tmp_path)
    assert store.latest(advance.initial(tiny_experiment, built)) is None
    store.close()


def traces_by_generation(experiment) -> dict[int, int]:
    """Return how often anything was traced by the end of each generation, in calls of two
    lengths."""
    built = stages.build(experiment)
    state, seeds, traces = start(experiment, built), advance.seeds_on_devices(experiment), {}
    while not advance.finished(experiment, state.cursor):
        generation = state.cursor.generation
        state = advance.step(built, seeds, state, 5 + generation)
        traces[generation] = stages.num_traces(built)
    return traces


def test_nothing_is_traced_after_generation_1(tiny_experiment):
    experiment = changed(tiny_experiment, seeds=(0,), loop={"generations": 5})
    traces = traces_by_generation(experiment)
    assert traces[0] < traces[1], "the count sees traces"
    assert {traces[g] for g in range(1, 6)} == {traces[1]}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Some donated buffers were not usable")
def test_nothing_is_traced_after_generation_1_with_seeds_spread_over_devices():
    """As on accelerators: two seeds vmapped over two devices."""
    changes = {"classifiers": ("lenet",), "measure.evaluators": ("classification",)}
    changes |= {"loop.generations": 3, "devices.seeds": "together"}
    spec = tiny(**changes)
    experiment = build.build(spec, devices=jax.devices()[:2])[0]
    assert dict(experiment.seeds.mesh.shape) == {"seed": 2, "data": 1}
    traces = traces_by_generation(experiment)
    assert traces[1] == traces[2] == traces[3]


def test_no_function_holds_a_big_constant(tiny_experiment, monkeypatch):
    """Everything large is an argument: at most 1 MB of constants in any jaxpr of the loop."""
    over_seeds, recorded = devices.over_seeds, {}

    def recording(one_seed, seeds):
        run = over_seeds(one_seed, seeds)

        def call(state, inputs, *shared):
            recorded[one_seed] = jax.tree.map(jnp.copy, (state[0], inputs[0], *shared))
            return run(state, inputs, *shared)

        call._cache_size = run._cache_size
        return call

    monkeypatch.setattr(devices, "over_seeds", recording)
    play(changed(tiny_experiment, seeds=(0,), loop={"generations": 1}))
    assert len(recorded) >= 14  # of five stages, two classifiers, and the evaluators
    for one_seed, arguments in recorded.items():
        size = sum(np.asarray(c).nbytes for c in _constants(jax.make_jaxpr(one_seed)(*arguments)))
        assert size <= 2**20, f"{one_seed.__qualname__} holds {size} bytes"
    images = tiny_experiment.constants.train.image
    closing = jax.make_jaxpr(lambda i: jnp.asarray(images)[i])(0)
    assert sum(c.nbytes for c in _constants(closing)) == images.nbytes, "the walk sees constants"


def _constants(jaxpr):
    """Yield the constants of a jaxpr and of all jaxprs inside it."""
    yield from jaxpr.consts
    for equation in jaxpr.eqns:
        for value in jax.tree.leaves(equation.params, is_leaf=lambda x: hasattr(x, "jaxpr")):
            if hasattr(value, "consts"):
                yield from _constants(value)


def test_memory_of_the_state_is_given_to_the_next_one(tiny_experiment, built):
    state, seeds = start(tiny_experiment, built), advance.seeds_on_devices(tiny_experiment)
    state = advance.step(built, seeds, state, 1)
    before = jax.tree.leaves(state.classifiers["lenet"][0].variables)
    advance.step(built, seeds, state, 1)
    assert all(x.is_deleted() for x in before)


def test_one_device_or_eight(tiny_spec, tiny_experiment):
    """Data-parallel over eight devices. Training amplifies the last bit: one epoch is compared."""
    many = build.build(tiny_spec, devices=jax.devices()[:8])[0]
    assert many.seeds.mesh.size == 8
    one, eight = (
        on_host(play(e, calls=1, count=10, evaluate=[])[0]).classifiers["lenet"].best_loss
        for e in (tiny_experiment, many)
    )
    # float32 means over 128 images, added in eight parts; ten steps of Adam
    np.testing.assert_allclose(eight, one, rtol=2e-3)


def train_a_generator(experiment, count=10):
    built = stages.build(experiment)
    state, seeds = start(experiment, built), advance.seeds_on_devices(experiment)
    state = state._replace(cursor=state.cursor._replace(generation=1, stage=0))
    return on_host(advance.step(built, seeds, state, count)).generator


@pytest.mark.parametrize(("num_devices", "how"), [(8, "in_turn"), (1, "together"), (2, "together")])
@pytest.mark.filterwarnings("ignore:Some donated buffers were not usable")
def test_a_generator_is_the_same_on_several_devices_and_vmapped(tiny_experiment, num_devices, how):
    spec = tiny(**{"devices.seeds": how})
    other = build.build(spec, devices=jax.devices()[:num_devices])[0]
    one, many = train_a_generator(tiny_experiment), train_a_generator(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
        # batch statistics are over the whole batch; float32 sums in another order, ten steps of
        # Adam
        np.testing.assert_allclose(a, b, atol=2e-3, rtol=1e-2)


@pytest.mark.filterwarnings("ignore:Some donated buffers were not usable")
def test_vmapped_seeds_filter_and_train_like_seeds_in_turn(tiny_experiment, whole):
    """What accelerators do: an epoch of a classifier, and the filter, from one and the same
    state."""
    host = on_host(whole[0])

    def outcome(experiment):
        built = stages.build(experiment)
        seeds = advance.seeds_on_devices(experiment)
        at_filter = host.cursor._replace(generation=2, stage=2, step=0)
        state = on_devices(host, experiment.seeds)._replace(cursor=at_filter)
        state = advance.step(built, seeds, state, 1)
        state = advance.step(built, seeds, state, 10)
        done = on_host(state)
        return done.selection, done.queue.born, done.classifiers["lenet"].loss

    spec = dataclasses.replace(tiny_experiment.spec, devices=config.resolve({}).devices)
    together = tiny_experiment._replace(
        spec=spec, seeds=lay_out(spec.seeds, "together", ONE_DEVICE)
    )
    (turn, born, loss), (vmapped, born2, loss2) = outcome(tiny_experiment), outcome(together)
    assert len(np.unique(turn.score)) > 400, "the classifier tells images apart"
    np.testing.assert_allclose(turn.score, vmapped.score, atol=2e-3, rtol=1e-2)
    np.testing.assert_allclose(loss, loss2, atol=2e-3, rtol=1e-2)
    same(born, born2)
    assert np.mean(turn.kept == vmapped.kept) > 0.99  # but for scores that their last bits order


def test_a_diverged_generator_pushes_nothing_and_is_recorded(tiny_experiment, built, whole):
    host = on_host(whole[0])
    nan = lambda x: np.full_like(x, np.nan) if x.dtype == np.float32 else x  # noqa: E731
    broken = host._replace(
        generator=host.generator._replace(state=jax.tree.map(nan, host.generator.state))
    )
    state = on_devices(broken, tiny_experiment.seeds)
    state = state._replace(cursor=state.cursor._replace(generation=2, stage=1, step=0))
    seeds = advance.seeds_on_devices(tiny_experiment)
    while built[state.cursor.stage].name in ("sample", "filter"):
        state = advance.step(built, seeds, state, 100)
    assert on_host(state).generator_diverged.all()
    same(on_host(state).queue, host.queue)
    at_end = state.cursor._replace(stage=len(built) - 1)
    _, log = play(tiny_experiment, built, state=state._replace(cursor=at_end), calls=1)
    generator = {
        r["metric"]: (r["value"], r.get("reason"))
        for r in log
        if r["subject"] == "generator" and not {"group", "class", "epoch", "rarity"} & r.keys()
    }
    assert generator["diverged"] == (1.0, None)
    for metric in ("label_agreement", "frechet_distance", "within_class_diversity"):
        assert generator[metric] == (None, "generator_diverged")


def test_a_diverged_classifier_is_recorded_and_the_others_go_on(tiny_experiment):
    spec = tiny(**{"seeds": (0,), "classifier.learning_rate": 1e30, "loop.generations": 1})
    experiment = build.build(spec, devices=ONE_DEVICE)[0]
    sound = tiny_experiment.trainers["alexnet"]
    experiment = experiment._replace(trainers={**experiment.trainers, "alexnet": sound})
    state, log = play(experiment)
    assert advance.finished(experiment, state.cursor)
    assert (on_host(state).predictions["lenet"] == -1).all()
    plain = [r for r in log if not {"group", "class", "epoch", "rank", "rarity"} & r.keys()]
    row = {(r["generation"], r["subject"], r["metric"]): r for r in plain}
    for generation in (0, 1):
        assert row[generation, "lenet", "diverged"]["value"] == 1.0
        for metric in ("accuracy", "meo", "di_per_class"):
            record = row[generation, "lenet", metric]
            assert (record["value"], record["reason"]) == (None, "classifier_diverged")
        assert row[generation, "alexnet", "diverged"]["value"] == 0.0
        assert row[generation, "alexnet", "accuracy"]["value"] is not None  # of few steps
    assert row[1, "filter", "drop_rate"]["caveat"] == "random_choice"
    for metric, network in (("label_agreement", "judge"), ("frechet_distance", "reference")):
        assert row[1, "generator", metric]["reason"] == f"{network}_diverged"


def test_the_saved_state_holds_no_key(tiny_experiment, built):
    state = on_host(start(tiny_experiment, built))
    assert isinstance(state, LoopState)
    assert not [x for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key)]


def test_seeded_trees_come_back_from_either_layout(tiny_experiment):
    stacked = {"a": np.arange(6.0).reshape(2, 3), "b": np.arange(2)}
    for how in ("together", "in_turn"):
        seeds = lay_out((0, 1), how, ONE_DEVICE)
        trees = to_host(put_seeds(seeds, stacked))
        for i in range(2):
            same(trees[i], jax.tree.map(lambda x: x[i], stacked))  # noqa: B023


@pytest.mark.slow
@pytest.mark.usefixtures("standard_promotion")
def test_bfloat16_computes_and_float32_keeps(tiny_experiment):
    changes = {"classifiers": ("alexnet",), "measure.evaluators": ("classification",)}
    changes |= {"seeds": (0,), "devices.dtype": "bfloat16", "loop.generations": 1}
    spec = tiny(**changes)
    experiment = build.build(spec, devices=ONE_DEVICE)[0]
    state, log = play(experiment)
    host = on_host(state)
    for tree in (host.generator.state, host.classifiers["alexnet"].variables):
        floats = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]
        assert {str(x.dtype) for x in floats} == {"float32"}
    gan = dcgan.GeneratorNetwork(10, 6, 1, 4, jnp.bfloat16)
    variables = gan.init(jax.random.key(0), jnp.zeros((2, 8)), jnp.zeros(2, jnp.int32), train=True)
    jaxpr = str(
        jax.make_jaxpr(
            lambda v: gan.apply(v, jnp.zeros((2, 8)), jnp.zeros(2, jnp.int32), train=False)
        )(variables)
    )
    assert "bf16" in jaxpr
    accuracy = [r["value"] for r in log if r["metric"] == "accuracy" and "rank" not in r]
    assert all(np.isfinite(accuracy))
