"""The records of filtering, against a plain loop over images."""

import numpy as np
import pytest

from jaxloop import filters, statistics
from jaxloop.data.source import InMemory
from jaxloop.evaluators import filtering
from jaxloop.loop.state import Cursor, LoopState, Selection
from jaxloop.spec import Filter
from jaxloop.types import Samples

CLASSES, GROUPS, NUM = 10, 3, 500


@pytest.fixture(scope="module")
def experiment(tiny_experiment):
    """Real images of which class l has most of group l mod 3, fewer of the next, fewest of the
    third."""
    label, place = np.arange(600) % CLASSES, np.arange(600) // CLASSES
    group = (label + np.where(place < 40, 0, np.where(place < 55, 1, 2))) % GROUPS
    train = Samples(np.zeros((600, 2, 2, 3), np.uint8), label, group)
    constants = tiny_experiment.constants._replace(train=InMemory.from_samples(train))
    seeds = tiny_experiment.seeds._replace(values=(0,))
    return tiny_experiment._replace(constants=constants, seeds=seeds)


def rarity(label, group):
    """Return 1 for the rarest of its class."""
    return 3 - (group - label) % GROUPS


@pytest.fixture(scope="module")
def samples():
    label, draw = np.arange(NUM) % CLASSES, np.random.default_rng(0)
    return Samples(np.zeros((NUM, 2, 2, 3), np.uint8), label, draw.integers(-1, GROUPS, NUM))


@pytest.fixture(scope="module")
def selection(samples):
    draw = np.random.default_rng(1)
    kept, score = draw.random(NUM) < 0.8, draw.choice([-1.0, 0.0, 1.0], NUM)
    kept[samples.label == 4] = False  # a class is deleted
    return Selection(score, {"uncertainty": score}, np.bool_(False), kept, np.flatnonzero(kept))


def logged(experiment, samples, selection, diverged=False, generation=1):
    nothing = dict(queue=[], encoded=(), generator=[], classifiers={}, reference=[], predictions={})
    nothing |= dict(judge=(), label_judge=())
    state = LoopState(
        cursor=Cursor(generation, 0, 0), generator_diverged=[np.bool_(diverged)],
        samples=[samples], selection=[selection], **nothing,
    )  # fmt: skip
    fields = ("subject", "metric", "class", "group", "rarity")
    records = filtering.create(experiment)(state)
    return {tuple(r.get(f) for f in fields): r for r in records}


def test_drop_rates_equal_the_loop(experiment, samples, selection):
    rows = logged(experiment, samples, selection)
    label, group, kept = samples.label, samples.group, selection.kept

    def check(rows_in, *place, interval=True):
        record = rows["filter", "drop_rate", *place]
        assert record["value"] == pytest.approx(1 - kept[rows_in].mean())
        dropped = int((~kept[rows_in]).sum())
        wanted = statistics.wilson(dropped, int(rows_in.sum())) if interval else None
        assert record.get("interval") == wanted

    check(np.ones(NUM, bool), None, None, None, interval=False)
    for g in range(GROUPS):
        check(group == g, None, g, None)
    for c in range(CLASSES):
        check(label == c, c, None, None, interval=False)
        for g in range(GROUPS):
            check((label == c) & (group == g), c, g, None)
            share = rows["generator", "subgroup_share", c, g, None]
            of_class = group[kept & (label == c)]
            if c == 4:  # deleted
                assert (share["value"], share["reason"]) == (None, "no_images")
            else:
                assert share["value"] == pytest.approx((of_class == g).mean())
    for g in range(GROUPS):
        share = rows["generator", "subgroup_share", None, g, None]["value"]
        assert share == pytest.approx((group[kept] == g).mean())
    unknown = rows["generator", "unknown_share", None, None, None]["value"]
    assert unknown == pytest.approx((group[kept] == -1).mean())
    rank = np.where(group >= 0, rarity(label, group), 0)
    for k in (1, 2, 3):
        check(rank == k, None, None, k)
        share = rows["generator", "subgroup_share", None, None, k]["value"]
        assert share == pytest.approx((rank[kept] == k).mean())
    assert rows["filter", "deleted_classes", None, None, None]["value"] == 1


def test_real_shares_by_rarity(experiment, samples, selection):
    rows = logged(experiment, samples, selection, generation=0)
    shares = {key[-1]: r["value"] for key, r in rows.items() if key[-1]}
    assert shares == pytest.approx({1: 5 / 60, 2: 15 / 60, 3: 40 / 60})


def test_votes_that_could_not_be_followed_are_counted(experiment, samples, selection):
    human = experiment._replace(filter=filters.create(Filter(name="human")))
    votes = np.where(np.arange(NUM) % 5, selection.score, np.nan)
    voted = selection._replace(by_expert={"human": votes}, score=np.nan_to_num(votes))
    rows, kept = logged(human, samples, voted), selection.kept
    value = {key[1]: r["value"] for key, r in rows.items() if key[0] == "filter"}
    assert value["voted_out_kept"] == ((votes < 0) & kept).sum()
    assert value["voted_in_dropped"] == ((votes > 0) & ~kept).sum()
    assert value["voted_share"] == 0.8


@pytest.mark.parametrize(("unscored", "code"), [(True, "random_choice"), (False, "expert_missing")])
def test_a_filter_that_lacks_its_classifier_is_a_caveat(
    experiment, samples, selection, unscored, code
):
    missing = {"uncertainty": selection.score * np.nan}
    without = selection._replace(by_expert=missing, unscored=np.bool_(unscored))
    place = ("filter", "drop_rate", None, None, None)
    assert logged(experiment, samples, without)[place]["caveat"] == code
    assert "caveat" not in logged(experiment, samples, selection)[place]


def test_diverged_generators_and_unknown_subgroups_have_no_values(experiment, samples, selection):
    for record in logged(experiment, samples, selection, diverged=True).values():
        assert (record["value"], record["reason"]) == (None, "generator_diverged")
    unknown = samples._replace(group=np.full(NUM, -1))
    rows = logged(experiment._replace(image_group=None), unknown, selection)
    for subject, metric in (("generator", "subgroup_share"), ("filter", "drop_rate")):
        for k in (1, 2, 3):
            record = rows[subject, metric, None, None, k]
            assert (record["value"], record["reason"]) == (None, "group_unknown")
