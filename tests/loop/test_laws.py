"""The laws of the loop, on a tiny experiment with real digits."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop.evaluators import measure
from jaxloop.loop import advance
from jaxloop.loop.stages import compile_stages
from jaxloop.loop.state import LoopState, saved
from jaxloop.run import build as setup
from jaxloop.run import checkpoint
from tests.loop.playing import play

ONE_DEVICE = jax.devices()[:1]


def same(a, b) -> None:
    """Bit for bit, NaN included."""
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture(scope="module")
def compiled(tiny_parts):
    return compile_stages(tiny_parts)


@pytest.fixture(scope="module")
def whole(tiny_parts, compiled):
    return play(tiny_parts, compiled)


def test_every_measure_is_recorded_once(tiny_parts, whole):
    _, records = whole
    keys = [
        tuple(r.get(k) for k in ("seed", "generation", "subject", "metric", "class", "group"))
        for r in records
    ]
    assert len(set(keys)) == len(keys)
    found = {(r["seed"], r["generation"], r["subject"], r["metric"]) for r in records}
    classifier = [
        "accuracy",
        "meo",
        "di",
        "md",
        "meo_per_class",
        "di_per_class",
        "md_per_class",
        "acc_rank_1",
        "acc_rank_2",
    ]
    classifier += ["acc_rank_3", "group_accuracy", "epochs_trained", "diverged"]
    generator = [
        "fd_lenet",
        "label_agreement",
        "within_class_diversity",
        "subgroup_share",
        "unknown_share",
        "diverged",
    ]
    for seed in tiny_parts.spec.seeds:
        for generation in range(tiny_parts.spec.loop.generations + 1):
            wanted = {(name, metric) for name in tiny_parts.trainers for metric in classifier}
            if generation:
                wanted |= {("generator", metric) for metric in generator} | {
                    ("filter", "drop_rate")
                }
            assert {(seed, generation, *w) for w in wanted} <= found


def test_records_agree_with_each_other(whole):
    _, records = whole
    value = {
        tuple(r.get(k) for k in ("seed", "generation", "subject", "metric", "class", "group")): r[
            "value"
        ]
        for r in records
    }
    for (seed, generation, subject, metric, *_), accuracy in value.items():
        if metric == "accuracy":
            groups = [value[seed, generation, subject, "group_accuracy", None, g] for g in range(3)]
            assert min(groups) - 1e-6 <= accuracy <= max(groups) + 1e-6
            assert value[seed, generation, subject, "md", None, None] == pytest.approx(
                max(groups) - min(groups), abs=1e-6
            )


def test_the_queue_holds_what_was_kept_and_never_more_than_its_capacity(tiny_parts, whole):
    queue = whole[0].queue
    for i in range(len(tiny_parts.spec.seeds)):
        assert int(queue.size[i]) == tiny_parts.capacity
        born = np.asarray(queue.born[i])
        assert np.bincount(born).tolist() == [0, tiny_parts.kept, tiny_parts.kept]
    pending = whole[0].pending
    assert (np.asarray(pending.kept).sum(axis=1) == tiny_parts.kept).all()


def test_seeds_alone_equal_seeds_together(tiny_parts, whole):
    state, records = whole
    for i, seed in enumerate(tiny_parts.spec.seeds):
        alone_parts = tiny_parts._replace(spec=dataclasses.replace(tiny_parts.spec, seeds=(seed,)))
        alone, alone_records = play(alone_parts)
        same(jax.tree.map(lambda x: x[0], alone[1:]), jax.tree.map(lambda x: x[i], state[1:]))  # noqa: B023
        assert alone_records == [r for r in records if r["seed"] == seed]
    assert not np.array_equal(*jax.tree.leaves(state.classifiers["lenet"].variables)[0])


def test_resume_anywhere_is_bit_equal(tiny_parts, compiled, whole, tmp_path):
    state, records = whole
    total = count_steps(tiny_parts, compiled)
    for cut in sorted(np.random.default_rng(0).choice(np.arange(1, total), size=6, replace=False)):
        first, early = play(tiny_parts, compiled, steps=int(cut))
        store = checkpoint.Checkpoints(tmp_path / str(cut))
        store.save(first)
        store.close()
        store = checkpoint.Checkpoints(tmp_path / str(cut))
        restored = store.latest(advance.initial(tiny_parts))
        store.close()
        assert restored.cursor == first.cursor
        last, late = play(tiny_parts, compiled, state=restored)
        same(last[1:], state[1:])
        assert early + late == records


def count_steps(parts, compiled) -> int:
    state, seeds, steps = advance.initial(parts), advance.seeds_of(parts), 0
    while not advance.finished(parts, state.cursor):
        state, steps = advance.step(parts, compiled, seeds, state), steps + 1
    return steps


def test_an_empty_folder_has_no_checkpoint(tiny_parts, tmp_path):
    store = checkpoint.Checkpoints(tmp_path)
    assert store.latest(advance.initial(tiny_parts)) is None
    store.close()


def traces_by_generation(parts, how=None) -> dict[int, int]:
    """How often anything was traced by the end of each generation."""
    compiled, state, seeds = (
        compile_stages(parts, how),
        advance.initial(parts),
        advance.seeds_of(parts),
    )
    traces = {}
    while not advance.finished(parts, state.cursor):
        before, state = state, advance.step(parts, compiled, seeds, state)
        if parts.stages()[before.cursor.stage] == "measure":
            measure.of_generation(parts, compiled, state._replace(cursor=before.cursor), seeds)
        traces[before.cursor.generation] = compiled.traces()
    return traces


def test_nothing_is_traced_after_generation_1(tiny_parts):
    loop = dataclasses.replace(tiny_parts.spec.loop, generations=5)
    traces = traces_by_generation(
        tiny_parts._replace(spec=dataclasses.replace(tiny_parts.spec, seeds=(0,), loop=loop))
    )
    assert traces[0] < traces[1], "the count sees traces"
    assert {traces[g] for g in range(1, 6)} == {traces[1]}


@pytest.mark.slow
def test_nothing_is_traced_after_generation_1_with_seeds_spread_over_devices(tiny_spec):
    """As on accelerators: two seeds vmapped over two devices. A sharding that changed on the way would compile again."""
    spec = dataclasses.replace(
        tiny_spec, loop=dataclasses.replace(tiny_spec.loop, generations=3), classifiers=("lenet",)
    )
    parts = setup.build(spec, devices=jax.devices()[:2])[0]
    assert dict(parts.mesh.shape) == {"seed": 2, "data": 1}
    traces = traces_by_generation(parts, "vmap")
    assert traces[1] == traces[2] == traces[3]


def test_one_device_or_eight(tiny_spec, tiny_parts, whole):
    """Data-parallel over eight devices. Training amplifies the last bit, so one epoch of everything is compared."""
    many = setup.build(tiny_spec, devices=jax.devices()[:8])[0]
    assert many.mesh.size == 8
    one, eight = (
        np.asarray(play(parts, steps=1)[0].classifiers["lenet"].best_loss)
        for parts in (tiny_parts, many)
    )
    # float32 means over 128 images, added in eight parts; ten steps of Adam
    np.testing.assert_allclose(eight, one, rtol=2e-3)


def test_sharded_generator_epoch(tiny_spec, tiny_parts):
    many = setup.build(tiny_spec, devices=jax.devices()[:8])[0]
    scalar = np.int32(1), np.int32(0)

    def epoch(parts):
        compiled, seeds, state = (
            compile_stages(parts),
            advance.seeds_of(parts),
            advance.initial(parts),
        )
        generator = compiled.start_generator((seeds,), scalar[0])
        return compiled.generator_epoch((seeds, generator, state.queue), *scalar, parts.train)

    one, eight = epoch(tiny_parts), epoch(many)
    for a, b in zip(jax.tree.leaves(one.average), jax.tree.leaves(eight.average), strict=True):
        # batch statistics are over the whole batch on both; the averaged weights have moved by about 1e-4
        np.testing.assert_allclose(a, b, atol=2e-3, rtol=1e-2)


def test_vmapped_seeds_equal_looped_seeds(tiny_parts, whole):
    """What accelerators do, on the CPU's devices: one epoch each, and the filter, of one and the same generator and judge."""
    seeds, scalar = advance.seeds_of(tiny_parts), (np.int32(1), np.int32(0))
    trained = whole[0]

    def stages(how):
        compiled, state = compile_stages(tiny_parts, how), advance.initial(tiny_parts)
        generator = compiled.start_generator((seeds,), scalar[0])
        generator = compiled.generator_epoch(
            (seeds, generator, state.queue), *scalar, tiny_parts.train
        )
        classifier = compiled.start_classifier["alexnet"]((seeds,), scalar[0], None)
        own = (seeds, classifier, state.queue)
        classifier = compiled.classifier_epoch["alexnet"](
            own, *scalar, tiny_parts.train, tiny_parts.validation
        )
        pending, diverged = compiled.sample((seeds, trained.generator, state.queue), scalar[0])
        own = (seeds, trained.pending, diverged, state.queue, trained.classifiers["lenet"], None)
        pending, queue = compiled.filter(own, scalar[0], None)
        assert len(np.unique(pending.score)) > 400, "the judge tells images apart"
        return (
            (generator.average, classifier.best_loss, pending.score),
            (queue.born, diverged),
            pending.kept,
        )

    looped, vmapped = stages("loop"), stages("vmap")
    for a, b in zip(jax.tree.leaves(looped[0]), jax.tree.leaves(vmapped[0]), strict=True):
        # as above: float32 sums in another order, through a few steps of Adam
        np.testing.assert_allclose(a, b, atol=2e-3, rtol=1e-2)
    same(looped[1], vmapped[1])
    assert np.mean(looped[2] == vmapped[2]) > 0.99  # but for scores that their last bits order


def test_a_diverged_generator_pushes_nothing_and_is_recorded(tiny_parts, compiled, whole):
    seeds, (state, _) = advance.seeds_of(tiny_parts), whole
    broken = jax.tree.map(
        lambda x: jnp.full_like(x, jnp.nan) if x.dtype == jnp.float32 else x, state.generator
    )
    at_sample = state._replace(
        generator=broken, cursor=state.cursor._replace(generation=2, stage=1, step=0)
    )
    after = at_sample
    while tiny_parts.stages()[after.cursor.stage] in ("sample", "filter"):
        after = advance.step(tiny_parts, compiled, seeds, after)
    assert after.generator_diverged.all()
    same(after.queue, at_sample.queue)
    records = measure.of_generation(tiny_parts, compiled, after, seeds)
    of_generator = {
        r["metric"]: r["value"] for r in records if r["subject"] == "generator" and "group" not in r
    }
    assert of_generator["diverged"] == 1.0
    assert (
        of_generator["label_agreement"] is None
        and "diverged" in of_generator["label_agreement_note"]
    )
    assert of_generator["fd_lenet"] is None and "diverged" in of_generator["fd_lenet_note"]


def test_a_diverged_classifier_is_recorded_and_the_others_go_on(tiny_parts):
    optimizer_breaks = dataclasses.replace(
        tiny_parts.spec,
        seeds=(0,),
        classifier=dataclasses.replace(tiny_parts.spec.classifier, learning_rate=1e30),
        loop=dataclasses.replace(tiny_parts.spec.loop, generations=1),
    )
    parts = setup.build(optimizer_breaks, devices=ONE_DEVICE)[0]
    parts = parts._replace(trainers={**parts.trainers, "alexnet": tiny_parts.trainers["alexnet"]})
    state, records = play(parts)
    assert advance.finished(parts, state.cursor)
    value = {
        (r["generation"], r["subject"], r["metric"]): r["value"]
        for r in records
        if "group" not in r
    }
    for generation in (0, 1):
        assert (
            value[generation, "lenet", "diverged"] == 1.0
            and value[generation, "lenet", "meo"] is None
        )
        for metric in ("accuracy", "meo", "di_per_class", "acc_rank_1", "acc_rank_3"):
            assert "diverged in epoch 1" in value[generation, "lenet", f"{metric}_note"]
        assert (
            value[generation, "alexnet", "diverged"] == 0.0
            and value[generation, "alexnet", "accuracy"] > 0.05
        )
    assert "random choice" in value[1, "filter", "drop_rate_note"]
    assert value[1, "generator", "label_agreement"] is None
    assert "nobody can judge" in value[1, "generator", "fd_lenet_note"]


def test_the_saved_state_holds_no_key(tiny_parts):
    state = saved(advance.initial(tiny_parts))
    assert isinstance(state, LoopState)
    assert not [x for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key)]
