"""The run's folder: made, locked against a second process, and tied to one configuration."""

import json
import os
import subprocess
from pathlib import Path

import jax

import jaxloop
from jaxloop import config, devices, files
from jaxloop.errors import InputError, refusing
from jaxloop.provenance.store import LAYOUT
from jaxloop.spec import Spec

FOLDERS = "samples", "provenance", "images", "predictions"
# Fields that change how a run is kept, not what comes out: a run may go on with others.
FREE = (
    "checkpoint.every_seconds",
    "tensorboard",
    "answer.width",
    "answer.max_seeds",
    "data.memory",  # but for the images that measures compare with, see _refuse_other
)
# Fields that say where a file lies; what it holds is compared by its hash.
PLACES = (
    "data.path",
    "classifier.pretrained",
    "filter.clip",
    "measure.clip",
    "measure.inception",
    "generator.path",
)


def claim(path: Path):
    """Make the folder and lock it; the lock falls with the process. Return the open lock file.

    Raises:
      InputError: it cannot be written, or another process runs in it.
    """
    with refusing("--workdir", str(path), "a folder that can be written", OSError):
        for folder in (path, *(path / name for name in FOLDERS)):
            folder.mkdir(parents=True, exist_ok=True)
        lock = open(path / ".lock", "a")  # noqa: SIM115
    if not files.lock(lock.fileno(), wait=False):
        lock.close()
        raise InputError("--workdir", str(path), "a folder in which no other run is going on")
    # Of a write that a kill cut short; ours alone, by the lock.
    for torn in (*path.glob(".*.tmp"), *path.glob("*/.*.tmp")):
        torn.unlink()
    return lock


def describe(path: Path, spec: Spec, description: dict) -> list[tuple[int, ...]]:
    """Write config.json as `plan` says; return the cohorts of seeds.

    Raises: as `plan` does.
    """
    content, cohorts = plan(path, spec, description)
    file = path / "config.json"
    before = _read(file, path) if file.exists() else {}
    if content != before:
        _write(file, content)
    if before and content.get("resumed") != before.get("resumed"):
        _warn_of_another_machine(content)
    return cohorts


def _warn_of_another_machine(content: dict) -> None:
    """Say what of this start, the last, may change rounding."""
    for name in ("jax", "device"):
        first, now = content.get(name), content["resumed"][-1][name]
        if first != now:
            files.warn(
                f"this run began with {name} {first} and goes on with {now}: rounding may differ, "
                "so that its numbers are not those of one start, bit for bit"
            )


def plan(path: Path, spec: Spec, description: dict) -> tuple[dict, list[tuple[int, ...]]]:
    """Check that config.json, if it is there, is of this configuration and data.

    Seeds of `spec` that are not there yet are added. A start with other code, another device or
    another place of equal files is noted beside the first one's, under "resumed".

    Returns:
      what shall stand in config.json, and the cohorts: seeds that are played together, in the order
      in which they came.

    Raises:
      InputError: with every field that differs; or the folder has seeds that `spec` lacks, and none
        are added by `answer.width`.
    """
    file = path / "config.json"
    values = config.flat(spec)
    start = _circumstances() | {name: values[name] for name in PLACES if name in values}
    start = json.loads(json.dumps(start))
    if not file.exists():
        if any(path.glob("checkpoints*/*")):
            words = "a new folder: this one has checkpoints and no config.json"
            raise InputError("--workdir", str(path), words)
        content = {"layout": LAYOUT, "config": config.to_dict(spec), **start, **description}
        return {**content, "cohorts": [spec.seeds]}, [spec.seeds]
    before = _read(file, path)
    _refuse_other(path, before, spec, description)
    cohorts = _cohorts(path, before, spec)
    after = {**before, "cohorts": [list(seeds) for seeds in cohorts]}
    after["config"] |= {"seeds": list(sum(cohorts, ())), "answer": config.to_dict(spec.answer)}
    known = [{key: before.get(key) for key in start}, *before.get("resumed", [])]
    if start not in known:
        after["resumed"] = [*before.get("resumed", []), start]
    return after, cohorts


def _cohorts(path: Path, before: dict, spec: Spec) -> list[tuple[int, ...]]:
    """Return the cohorts that are there, and one of the seeds that are not."""
    cohorts = [tuple(seeds) for seeds in before.get("cohorts") or [before["config"]["seeds"]]]
    there = sum(cohorts, ())
    if not spec.answer.width and (missing := [s for s in there if s not in spec.seeds]):
        words = f"seeds that include {', '.join(map(str, missing))}, which {path} has"
        raise InputError("config.seeds", spec.seeds, words)
    new = tuple(seed for seed in spec.seeds if seed not in there)
    return [*cohorts, new] if new else cohorts


def _write(file: Path, content: dict) -> None:
    files.write_atomic(file, (json.dumps(content, indent=1) + "\n").encode())


def _read(file: Path, path: Path) -> dict:
    try:
        before = json.loads(file.read_text())
        before = {**before, "config": dict(before["config"]), "data": dict(before["data"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        words = f"a new folder: its config.json cannot be read ({error!r})"
        raise InputError("--workdir", str(path), words) from None
    if before.get("layout") != LAYOUT:
        words = f"a new folder: this one has the layout of another version (not {LAYOUT})"
        raise InputError("--workdir", str(path), words)
    return before


def _refuse_other(path: Path, before: dict, spec: Spec, description: dict) -> None:
    def refuse(words: str):
        raise InputError("--workdir", str(path), words)

    # Through JSON, so that tuples and lists are alike.
    new = config.flat(json.loads(json.dumps(config.to_dict(spec))))
    old = config.flat(before["config"])
    exempt = {"seeds", *FREE, *PLACES}
    names = [n for n in dict.fromkeys([*new, *old]) if n not in exempt and old.get(n) != new.get(n)]
    if names:
        differ = (f"{name} ({old.get(name)!r} there, {new.get(name)!r} now)" for name in names)
        refuse(
            "a new folder, or the configuration it was made with; these differ: "
            + ", ".join(differ)
        )
    if before["data"].get("crc32") != description["data"]["crc32"]:
        refuse("a new folder, or the images it was made with; the data set has changed")
    compared, now = (one["data"].get("num_compared") for one in (before, description))
    if compared not in (None, now):
        refuse(
            f"a start whose measures compare with {compared:,} real images, not {now:,}: "
            "data.memory is device where they are all of them, and host, disk or decoded else"
        )
    for name in ("pretrained", "networks", "generator"):
        if before.get(name) != json.loads(json.dumps(description.get(name))):
            refuse(f"a new folder, or the weights it was made with; those of {name} have changed")


def _circumstances() -> dict:
    """Return what may differ between two starts of one run."""
    device = f"{jax.devices()[0].device_kind} x{jax.device_count()}"
    if jax.default_backend() == "cpu":  # XLA splits sums among them
        device += f", {devices.cores()} cores"
    return {
        "version": jaxloop.__version__,
        "git_commit": _git_commit(),
        "jax": jax.__version__,
        "device": device,
    }


def _git_commit() -> str | None:
    """Return the commit of the code, with "+" if it was changed since; None outside a checkout."""
    folder = os.path.dirname(jaxloop.__file__)

    def git(*arguments: str) -> str:
        command = ["git", "-C", folder, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
