import pytest

from jaxloop import records, statistics
from jaxloop.analysis import results
from jaxloop.analysis.measures import Name
from jaxloop.analysis.run_folder import load
from jaxloop.report import remarks, rendering


def changed(log, place, **values):
    """Return the log with `values` in every record that `place` fits."""
    return [r | values if place.items() <= r.items() else r for r in log]


@pytest.fixture(scope="module")
def facts():
    known = {"n": 390, "n_real": 1294, "d": 2048, "resize": "bilinear"}
    return known | {"sha256": "0123456789abcdef"}


def test_every_code_has_words():
    codes = [*records.REASONS, *records.CAVEATS]
    words = rendering.ENVIRONMENT.globals["codes"]
    assert len(codes) == len(set(codes)) == len({words[code] for code in codes})


def test_a_finished_run_misses_only_the_grids_that_it_has_not(simulated):
    said = ["Sample grids: none for generations 1, 2, 3 and 4 (seed 2)."]
    assert remarks.problems(load(simulated)) == said


def test_unfinished_run_says_so_and_fits_what_is_there(make_workdir, full_log, bias_of):
    # Killed in generation 3: its generator is measured, of its classifiers lenet's first seed.
    log = [r for r in full_log if r["generation"] < 3]
    third = [r for r in full_log if r["generation"] == 3]
    log += [r for r in third if r["subject"] == "generator"]
    log += [r for r in third if (r["subject"], r["seed"]) == ("lenet", 0)]
    run = load(make_workdir(log))
    said = remarks.problems(run)
    assert said[0].startswith("The run is unfinished: generation 3 of 4 is the last one measured.")
    assert "lenet: not measured in generation 3 (seeds 1 and 2)." in said
    assert "alexnet: not measured in generation 3 (seeds 0, 1 and 2)." in said
    trend = results.trend(run, Name("lenet", "md"))
    assert (trend.num_points, trend.num_points_missing) == (10, 2)
    assert trend.slope.mean == pytest.approx(0.021)
    last = results.curve(run, Name("lenet", "md"))[3].estimate
    assert last == statistics.Estimate(bias_of("lenet", 0, 3), None, 1, 2)


def test_null_values_are_counted_with_their_reasons(make_workdir, full_log):
    place = {"subject": "lenet", "metric": "di", "generation": 2}
    log = changed(full_log, place, value=None, reason="zero_accuracy")
    place = {"subject": "alexnet", "metric": "md", "generation": 1, "seed": 0}
    run = load(make_workdir(changed(log, place, value=None)))
    said = remarks.problems(run)
    reason = records.REASONS["zero_accuracy"]
    assert f"lenet, di: no value in generation 2 (seeds 0, 1 and 2) ({reason})." in said
    assert "alexnet, md: no value in generation 1 (seed 0) (no reason was recorded)." in said
    assert results.curve(run, Name("lenet", "di"))[2].estimate.num_missing == 3
    assert results.trend(run, Name("alexnet", "md")).num_points_missing == 1


def test_diverged_and_its_nulls_are_told_together(make_workdir, full_log):
    place = {"subject": "alexnet", "generation": 2, "seed": 1}
    log = changed(full_log, place, value=None, reason="classifier_diverged")
    log = changed(log, place | {"metric": "diverged"}, value=1, reason=None)
    run = load(make_workdir(log))
    assert results.diverged(run, "alexnet") == {2: [1]} and results.diverged(run, "lenet") == {}
    diverged, nulls, *_ = remarks.problems(run)
    assert diverged.startswith("alexnet diverged in generation 2 (seed 1)")
    # One sentence for all measures, epochs of training included.
    assert nulls.startswith("alexnet, accuracy, meo, di, md, accuracy, rank 1, accuracy, rank 2")
    assert "loss and gradient_norm: no value in generation 2 (seed 1)" in nulls


def test_caveats_are_told_once_each(make_workdir, full_log):
    place = {"metric": "frechet_distance"}
    log = changed(full_log, place, caveat="rank_deficient")
    place = {"metric": "meo_per_class", "seed": 0, "generation": 1}
    log = changed(log, place, caveat="classes_left_out")
    distance = next(r for r in log if r["metric"] == "frechet_distance")
    run = load(make_workdir([*log, distance | {"class": 1}]))
    deficient, left_out = (records.CAVEATS[c] for c in ("rank_deficient", "classes_left_out"))
    everywhere = "generations 1, 2, 3 and 4 (seeds 0, 1 and 2)"
    assert sorted(remarks.noted(run)) == [
        f"alexnet, meo_per_class: {left_out}, in generation 1 (seed 0).",
        f"generator, frechet_distance, lenet: {deficient}, in {everywhere}.",
        f"lenet, meo_per_class: {left_out}, in generation 1 (seed 0).",
    ]


def test_feature_facts_are_told_once_for_measures_that_share_them(make_workdir, full_log, facts):
    trained = facts | {"d": 84, "resize": "none", "sha256": None}
    log = changed(full_log, {"metric": "frechet_distance"}, features=trained)
    row = {"seed": 0, "subject": "generator", "network": "inception", "value": 1.0}
    for g in (1, 2):
        carried = row | {"generation": g, "features": facts | {"n": 400 - 10 * g}}
        log += [carried | {"metric": "fid"}, carried | {"metric": "kid"}]
    assert remarks.feature_facts(load(make_workdir(log))) == [
        "frechet_distance, lenet: n = 390 generated and 1294 real images, d = 84 features, "
        "resized: none, weights trained in this run.",
        "fid, inception and kid, inception: n = 380 or 390 generated and 1294 real images, "
        "d = 2048 features, resized: bilinear, weights 0123456789ab.",
    ]


def test_long_spans_of_generations_are_told_short(make_workdir, full_log):
    place = {"subject": "lenet", "metric": "accuracy"}
    log = [r for r in full_log if not place.items() <= r.items() or "rank" in r]
    said = remarks.problems(load(make_workdir(log)))
    assert "lenet: not measured in generations 0 to 4 (seeds 0, 1 and 2)." in said


def test_deleted_classes_and_overruled_votes_are_told(make_workdir, full_log):
    deleted = [
        {"subject": "filter", "metric": "deleted_classes", "seed": s, "generation": g}
        | {"value": 2 if (s, g) == (1, 3) else g // 4}
        for s in range(3) for g in range(1, 5)
    ]  # fmt: skip
    overruled = [
        r | {"metric": metric, "value": 5 * (r["generation"] == generation)}
        for metric, generation in (("voted_out_kept", 2), ("voted_in_dropped", 3))
        for r in deleted
    ]
    run = load(make_workdir([*full_log, *deleted, *overruled]))
    end = "of which no image was kept, in"
    said = remarks.problems(run)
    assert f"The filter deleted 1 class, {end} generation 4 (seeds 0, 1 and 2)." in said
    assert f"The filter deleted 2 classes, {end} generation 3 (seed 1)." in said
    assert remarks.noted(run) == [
        f"15 images that people had voted {what} all the same, since the number to be kept is "
        f"fixed: in generation {g} (seeds 0, 1 and 2)."
        for what, g in (("out were kept", 2), ("in were dropped", 3))
    ]
