"""The audit's records, against a plain loop over images."""

import jax
import numpy as np
import pytest

from jaxloop import config, filters
from jaxloop.evaluators import filtering as audit
from jaxloop.records import Log
from jaxloop.loop.state import Pending
from jaxloop.provenance import study
from jaxloop.types import Samples

CLASSES, GROUPS, NUM = 10, 3, 500


@pytest.fixture(scope="module")
def parts(tiny_parts):
    """Real images of which class l has most of group l mod 3, fewer of the next, and fewest of the third."""
    label = np.arange(600) % CLASSES
    place = np.arange(600) // CLASSES
    group = (label + np.where(place < 40, 0, np.where(place < 55, 1, 2))) % GROUPS
    return tiny_parts._replace(train=Samples(np.zeros((600, 2, 2, 3), np.uint8), label, group))


def rarity(label, group):
    """1 = rarest of its class."""
    return 3 - (group - label) % GROUPS


@pytest.fixture(scope="module")
def pending():
    draw = np.random.default_rng(0)
    label, group = np.arange(NUM) % CLASSES, draw.integers(-1, GROUPS, NUM)
    kept, score = draw.random(NUM) < 0.8, draw.choice([-1.0, 0.0, 1.0], NUM)
    kept[label == 4] = False  # a class is deleted
    samples = Samples(np.zeros((NUM, 2, 2, 3), np.uint8), label, group)
    return Pending(
        samples, score, {"uncertainty": score}, np.bool_(False), kept, np.flatnonzero(kept)
    )


def logged(parts, pending, diverged=False):
    log = Log(0, 1)
    audit.add(log, parts, pending, diverged)
    return {(r["subject"], r["metric"], r.get("class"), r.get("group")): r for r in log.records}


def test_drop_rates_equal_the_loop(parts, pending):
    found = logged(parts, pending)
    label, group, kept = pending.samples.label, pending.samples.group, pending.kept

    def check(of, *name, interval=True):
        record = found["filter", *name]
        assert record["value"] == pytest.approx(1 - kept[of].mean())
        low_high = study.wilson(int((~kept[of]).sum()), int(of.sum())) if interval else None
        assert record.get("interval") == low_high

    check(np.ones(NUM, bool), "drop_rate", None, None, interval=False)
    for g in range(GROUPS):
        check(group == g, "drop_rate", None, g)
    for c in range(CLASSES):
        check(label == c, "drop_rate", c, None, interval=False)
        for g in range(GROUPS):
            check((label == c) & (group == g), "drop_rate", c, g)
    rank = np.where(group >= 0, rarity(label, group), 0)
    for k in (1, 2, 3):
        check(rank == k, f"drop_rate_rarity_{k}", None, None)
        share = (rank[kept] == k).mean()
        assert found["generator", f"subgroup_share_rarity_{k}", None, None][
            "value"
        ] == pytest.approx(share)
    assert found["filter", "deleted_classes", None, None]["value"] == 1


def test_real_shares_by_rarity(parts):
    log = Log(0, 0)
    audit.add_real(log, parts)
    shares = {r["metric"]: r["value"] for r in log.records}
    assert shares == pytest.approx({
        "subgroup_share_rarity_1": 5 / 60, "subgroup_share_rarity_2": 15 / 60, "subgroup_share_rarity_3": 40 / 60
    })  # fmt: skip


def test_votes_that_could_not_be_followed_are_counted(parts, pending):
    human = parts._replace(filter=filters.create(config.Filter(name="human")))
    votes = np.where(np.arange(NUM) % 5, pending.score, np.nan)
    found = logged(human, pending._replace(scores={"human": votes}, score=np.nan_to_num(votes)))
    kept = pending.kept
    assert found["filter", "voted_out_kept", None, None]["value"] == ((votes < 0) & kept).sum()
    assert found["filter", "voted_in_dropped", None, None]["value"] == ((votes > 0) & ~kept).sum()
    assert found["filter", "voted_share", None, None]["value"] == 0.8


@pytest.mark.parametrize(
    ("lost", "says"), [(True, "a random choice"), (False, "went without its uncertainty")]
)
def test_a_filter_that_lacks_its_classifier_is_noted(parts, pending, lost, says):
    gone = pending._replace(scores={"uncertainty": pending.score * np.nan}, lost=np.bool_(lost))
    assert says in logged(parts, gone)["filter", "drop_rate_note", None, None]["value"]
    assert ("filter", "drop_rate_note", None, None) not in logged(parts, pending)


def test_nothing_is_said_of_a_generator_that_diverged_or_of_groups_that_nobody_knows(
    parts, pending
):
    for record in logged(parts, pending, diverged=True).values():
        assert record["value"] is None or record["metric"].endswith("_note"), record
    unknown = pending._replace(samples=pending.samples._replace(group=np.full(NUM, -1)))
    found = logged(parts._replace(image_group=None), unknown)
    for k in (1, 2, 3):
        assert found["generator", f"subgroup_share_rarity_{k}", None, None]["value"] is None
        assert (
            "pixels do not tell"
            in found["generator", f"subgroup_share_rarity_{k}_note", None, None]["value"]
        )
        assert found["filter", f"drop_rate_rarity_{k}", None, None]["value"] is None


def test_it_reads_what_the_loop_has_on_its_devices(parts, pending):
    assert (
        logged(parts, jax.tree.map(jax.numpy.asarray, pending)).keys()
        == logged(parts, pending).keys()
    )
