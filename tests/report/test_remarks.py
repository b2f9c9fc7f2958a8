import pytest

from jaxloop import statistics
from jaxloop.analysis import results
from jaxloop.analysis import run_folder as workdir
from jaxloop.analysis.run_folder import Name
from jaxloop.report import remarks


def changed(log, value, **where):
    """The log with `value` in every record that `where` fits."""
    return [
        r | {"value": value} if all(r.get(k) == v for k, v in where.items()) else r for r in log
    ]


def test_a_finished_run_misses_only_the_grids_that_it_has_not(make_workdir):
    assert remarks.missing(workdir.load(make_workdir())) == [
        "Sample grids: none for generations 1, 2, 3 and 4 (seed 2)."
    ]


def test_unfinished_run_says_so_and_fits_what_is_there(make_workdir, full_log, bias_of):
    # Killed in generation 3: its generator is measured, its classifiers are not, but for lenet's first seed.
    log = [
        r
        for r in full_log
        if r["generation"] < 3 or (r["generation"] == 3 and r["subject"] == "generator")
    ]
    log += [r for r in full_log if (r["generation"], r["subject"], r["seed"]) == (3, "lenet", 0)]
    run = workdir.load(make_workdir(log))
    said = remarks.missing(run)
    assert said[0].startswith("The run is unfinished: generation 3 of 4 is the last one measured.")
    assert "lenet: not measured in generation 3 (seeds 1 and 2)." in said
    assert "alexnet: not measured in generation 3 (seeds 0, 1 and 2)." in said
    found = results.trend(run, Name("lenet", "md"))
    assert (found.num_points, found.num_points_missing) == (10, 2)
    assert found.slope.mean == pytest.approx(0.021)
    assert results.curve(run, Name("lenet", "md"))[3].estimate == statistics.Estimate(
        bias_of("lenet", 0, 3), None, 1, 2
    )


def test_null_values_are_counted_and_their_notes_told(make_workdir, full_log):
    log = changed(full_log, None, subject="lenet", metric="di", generation=2)
    log = changed(log, None, subject="alexnet", metric="md", generation=1, seed=0)
    note = {
        "seed": 0,
        "generation": 2,
        "subject": "lenet",
        "metric": "di_note",
        "value": "the rate of blue is 0.",
    }
    run = workdir.load(make_workdir([*log, note, note | {"seed": 1}, note | {"seed": 2}]))
    said = remarks.missing(run)
    assert "lenet, di: no value in generation 2 (seeds 0, 1 and 2) (the rate of blue is 0)." in said
    assert "alexnet, md: no value in generation 1 (seed 0) (no reason was recorded)." in said
    assert results.curve(run, Name("lenet", "di"))[2].estimate == statistics.Estimate(
        None, None, 0, 3
    )
    assert results.trend(run, Name("alexnet", "md")).num_points_missing == 1


def test_diverged(make_workdir, full_log):
    log = changed(full_log, 1, subject="alexnet", metric="diverged", generation=2, seed=1)
    run = workdir.load(make_workdir(log))
    assert results.diverged(run, "alexnet") == {2: [1]} and results.diverged(run, "lenet") == {}
    assert remarks.diverged_sentences(run)[0].startswith(
        "alexnet diverged in generation 2 (seed 1)"
    )


def note(metric, value, **of):
    return {
        "seed": 0,
        "generation": 1,
        "subject": "generator",
        "metric": f"{metric}_note",
        "value": value,
    } | of


def test_notes_on_values_are_told_once_each(make_workdir, full_log):
    notes = [
        note("fd_lenet", "n < d.", generation=g, seed=s) for g in range(1, 5) for s in (0, 1, 2)
    ]
    notes += [
        note("fd_lenet", "n < d", generation=1, seed=0, **{"class": 1}),
        note("subgroup_share", "left out: class 3"),
    ]
    run = workdir.load(make_workdir([*full_log, *notes]))
    assert remarks.noted(run) == [
        "generator, fd_lenet: n < d, in generations 1, 2, 3 and 4 (seeds 0, 1 and 2).",
        "generator, subgroup_share: left out: class 3, in generation 1 (seed 0).",
    ]


def test_notes_on_nulls_are_no_notes_on_values(make_workdir, full_log):
    log = changed(full_log, None, subject="generator", metric="fd_lenet", generation=1, seed=0)
    run = workdir.load(make_workdir([*log, note("fd_lenet", "diverged")]))
    assert remarks.noted(run) == []
    assert "generator, fd_lenet: no value in generation 1 (seed 0) (diverged)." in remarks.missing(
        run
    )


def test_feature_facts_are_told_once_for_measures_that_share_them(make_workdir, full_log):
    inception = {
        "n": 390,
        "n_real": 1294,
        "d": 2048,
        "resize": "bilinear",
        "sha256": "0123456789abcdef",
    }
    own = inception | {"d": 84, "resize": "none", "sha256": None}
    log = [r | {"features": own} if r["metric"] == "fd_lenet" else r for r in full_log]
    for g in (1, 2):
        for metric in ("fid", "kid_inception"):
            log.append({"seed": 0, "generation": g, "subject": "generator", "metric": metric, "value": 1.0}
                       | {"features": inception | {"n": 400 - 10 * g}})  # fmt: skip
    run = workdir.load(make_workdir(log))
    assert remarks.feature_facts(run) == [
        "fd_lenet: n = 390 generated and 1294 real images, d = 84 features, resized: none, weights trained in this run.",
        "fid and kid_inception: n = 380 or 390 generated and 1294 real images, d = 2048 features, resized: bilinear, "
        "weights 0123456789ab.",
    ]


def test_long_spans_of_generations_are_told_short(make_workdir, full_log):
    log = [r for r in full_log if (r["subject"], r["metric"]) != ("lenet", "accuracy")]
    said = remarks.missing(workdir.load(make_workdir(log)))
    assert "lenet: not measured in generations 0 to 4 (seeds 0, 1 and 2)." in said
