"""Is a generator faithful? Train one of each recipe on real data alone, and compare with it.

    python -m benchmarks.generators --data digits:biased --seeds 0,1,2 \
        edm edm:guidance=1.5 dcgan:max_steps=3200 [--out grids/] [--set FIELD=VALUE ...]

A recipe is a generator's name and fields of it. --data names a file of configs/ and its variant;
--set changes other fields (data.path, data.image_size). Each recipe plays generation 1 of the loop
without a filter, as many images as there are real ones, judged by the LeNet of generation 0. Prints
a row of Markdown for each: means over seeds of

    seconds     processor seconds of training one generator, compilation left out; in brackets of
                sampling its images
    shares      of subgroups by rarity, rarest first, among images of a known subgroup
    u           total variation distance of these from the real ones, mean over classes
    mixed       share of images of no clear subgroup
    agreement, FD, precision, recall, coverage, nearest   as in docs/measures.md

and first a row for the real images, in which u is what chance gives as many real ones. Grids of
samples go to --out.
"""

import argparse
import importlib
import re
import resource
from collections.abc import Iterable
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from jaxloop import config, evaluators, files, records
from jaxloop.loop import advance, judging, stages
from jaxloop.loop.state import on_devices
from jaxloop.run import build, writers

COLUMNS = ("label_agreement", "frechet_distance", "precision", "recall", "coverage", "nearest_real")
SAMPLING = ("guidance", "sampl", "truncation")  # beginnings of fields that training does not read
HEADS = ("agreement", "FD", "precision", "recall", "coverage", "nearest")


def experiment_of(data: str, recipe: str, seeds: tuple[int, ...], changes: list[str]):
    name, _, variant = data.partition(":")
    module = importlib.import_module(f"configs.{name}")
    c = module.get_config(variant) if variant else module.get_config()
    generator, _, fields = recipe.partition(":")
    default = config.default()
    c.generator, c.filter = default.generator, default.filter
    c.generator.name, c.filter.name, c.classifiers = generator, "none", ("lenet",)
    c.seeds, c.loop.generations, c.loop.mix, c.measure.bootstrap = seeds, 1, 1.0, 0
    c.generator.epochs = 100_000
    given = [f"generator.{field}" for field in fields.split(",") if field]
    c.update_from_flattened_dict(values_of([*given, *changes]))
    return build.build(config.resolve(c), devices=jax.devices()[:1])[0]


def values_of(pairs: Iterable[str]) -> dict:
    """Return {"field": value} of texts "field=value"; an empty one is none."""
    parts = (pair.partition("=") for pair in pairs if pair)
    return {field: _value(value) for field, _, value in parts}


def _value(text: str):
    if text.startswith("("):
        return tuple(_value(part) for part in text[1:-1].split(" ") if part)
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def played(experiment, key, real: list[dict], trained: dict):
    """Play the generator, its sampling and the filter -> (state after them, seconds by stage).

    real: the state's fields after generation 0, filled by the first call.
    trained: (generator's state, seconds) by `key`: recipes that differ in sampling train once.
    """
    built, seeds = stages.build(experiment), advance.seeds_on_devices(experiment)
    state = on_devices(advance.initial(experiment, built), experiment.seeds)
    if not real:
        while state.cursor.generation == 0:
            state = advance.step(built, seeds, state, 10**6)
        names = ("classifiers", "reference", *judging.kinds(experiment))
        real.append({name: getattr(state, name) for name in names})
    state = state._replace(cursor=state.cursor._replace(generation=1, stage=0, step=0), **real[0])
    seconds = {}
    if key in trained:
        generator, seconds["generator"] = trained[key]
        state = state._replace(generator=generator, cursor=state.cursor._replace(stage=1))
    for stage in built[state.cursor.stage : 3]:
        if stage.name != "filter":  # whose run donates the queue: it is not timed
            jax.block_until_ready(stage.run(state, seeds, 0, 1))  # compiles
        before = processor_seconds()
        while built[state.cursor.stage] is stage:
            state = advance.step(built, seeds, state, 10**6)
        jax.block_until_ready(state)
        seconds[stage.name] = processor_seconds() - before
    trained.setdefault(key, (state.generator, seconds["generator"]))
    return state._replace(cursor=state.cursor._replace(generation=1)), seconds


def measured(experiment, state) -> pd.DataFrame:
    lines = []
    before = state._replace(cursor=state.cursor._replace(generation=0))  # tells of real images
    for name in ("generation", "distances", "filtering"):
        evaluate = evaluators.EVALUATORS[name].create(experiment)
        lines += evaluate(state)
        if name != "distances":
            lines += evaluate(before)
    return records.frame(records.merge([], lines))


def shares(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (generated, real) shares of known subgroups: rows seeds and classes, NaN of none."""
    rows = table[(table.metric == "subgroup_share") & table["class"].notna()]
    both = [
        rows[rows.subject == subject].pivot_table("value", ["seed", "class"], "group")
        for subject in ("generator", "real")
    ]
    generated, real = (side.div(side.sum(axis=1), axis=0) for side in both)
    return generated.reindex_like(real), real


def chance(shares: np.ndarray, images: int) -> float:
    """Return the mean u of `images` real images a class, drawn with replacement."""
    drawn = np.random.default_rng(0).multinomial(images, shares, (1000, len(shares))) / images
    return np.abs(drawn - shares).sum(axis=-1).mean() / 2


def row(recipe: str, experiment, table: pd.DataFrame, seconds: dict[str, float]) -> list[str]:
    generated, real = shares(table)
    order = np.argsort(real.to_numpy(), axis=1)
    by_rarity = np.take_along_axis(generated.to_numpy(), order, axis=1).mean(axis=0)
    u = (generated - real).abs().sum(axis=1, min_count=1).mean() / 2  # NaN where nothing is known
    plain = table[table["class"].isna() & table.group.isna() & (table.subject == "generator")]
    means = plain.groupby("metric").value.mean()
    num = len(experiment.seeds.values)
    return [
        recipe, f"{seconds['generator'] / num:.0f} ({seconds['sample'] / num:.1f})",
        " ".join(f"{share:.2f}" for share in by_rarity), f"{u:.3f}",
        f"{means['unknown_share']:.3f}", *(f"{means[metric]:.3g}" for metric in COLUMNS),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--data", default="digits:biased")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    jax.config.update("jax_compilation_cache_dir", str(files.cache("xla")))
    seeds, real, trained = tuple(map(int, options.seeds.split(","))), [], {}
    heads = ["generator", "seconds", "shares", "u", "mixed", *HEADS]
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}", flush=True)
    for i, recipe in enumerate(options.recipes):
        experiment = experiment_of(options.data, recipe, seeds, options.set)
        key = tuple(f for f in re.split("[:,]", recipe) if not f.startswith(SAMPLING))
        state, seconds = played(experiment, key, real, trained)
        table = measured(experiment, state)
        if i == 0:
            _, real_shares = shares(table)
            ascending = np.sort(real_shares.to_numpy(), axis=1).mean(axis=0)
            words = " ".join(f"{share:.2f}" for share in ascending)
            floor = chance(real_shares.to_numpy(), experiment.kept_by_class[0])
            print(f"| real | | {words} | {floor:.3f} | {'| ' * (len(heads) - 4)}", flush=True)
        print(f"| {' | '.join(row(recipe, experiment, table, seconds))} |", flush=True)
        if options.out:
            workdir = options.out / recipe.replace("/", "_")
            (workdir / "samples").mkdir(parents=True, exist_ok=True)
            (workdir / "provenance").mkdir(exist_ok=True)
            writers.write_selection(experiment, state, workdir)


if __name__ == "__main__":
    main()
