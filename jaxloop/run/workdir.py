"""The run's folder: made, locked against a second process, and tied to one configuration."""

import fcntl
import json
import os
import subprocess
from pathlib import Path

import jax

import jaxloop
from jaxloop import config
from jaxloop.errors import InputError
from jaxloop.files import write_atomic

# Fields that change how a run is kept, not what comes out: a run may go on with others.
FREE = ("checkpoint.every_seconds", "loop.images", "tensorboard")


def claim(path: Path):
    """Makes the folder and locks it; the lock falls with the process, however it ends. Returns the lock to hold on to.

    Raises InputError if it cannot be written, or another process runs in it.
    """
    try:
        for folder in (path, path / "samples", path / "provenance", path / "images"):
            folder.mkdir(parents=True, exist_ok=True)
        lock = open(path / ".lock", "a")
    except OSError as error:
        raise InputError(
            "--workdir", str(path), f"a folder that can be written ({error.strerror})"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise InputError(
            "--workdir", str(path), "a folder in which no other run is going on"
        ) from None
    for torn in (
        *path.glob(".*.tmp"),
        *path.glob("*/.*.tmp"),
    ):  # of a write that a kill cut short; ours alone, by the lock
        torn.unlink()
    return lock


def describe(path: Path, spec: config.Spec, description: dict) -> None:
    """Writes config.json, or checks that the one which is there is of the same configuration and data.

    A start with other code or another device is noted beside the first one's, under "resumed".

    Raises InputError with every field that differs.
    """
    file, began = path / "config.json", _circumstances()
    if not file.exists():
        if any((path / "checkpoints").glob("*")):
            raise InputError(
                "--workdir", str(path), "a new folder: this one has checkpoints and no config.json"
            )
        _write(file, {"config": config.to_dict(spec), **began, **description})
        return
    there = _read(file, path)
    _refuse_other(path, there, spec, description)
    known = [{key: there.get(key) for key in began}, *there.get("resumed", [])]
    if began not in known:
        _write(file, {**there, "resumed": [*there.get("resumed", []), began]})


def _write(file: Path, content: dict) -> None:
    write_atomic(file, (json.dumps(content, indent=1) + "\n").encode())


def _read(file: Path, path: Path) -> dict:
    try:
        there = json.loads(file.read_text())
        return {**there, "config": dict(there["config"]), "data": dict(there["data"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "--workdir", str(path), f"a new folder: its config.json cannot be read ({error!r})"
        ) from None


def _refuse_other(path: Path, there: dict, spec: config.Spec, description: dict) -> None:
    # Through JSON, so that tuples and lists are alike; as it stands there, so that a field of another version shows.
    old, new = (
        config.flat(there["config"]),
        config.flat(json.loads(json.dumps(config.to_dict(spec)))),
    )
    names = [
        name
        for name in dict.fromkeys([*new, *old])
        if name not in FREE and old.get(name) != new.get(name)
    ]
    differ = [f"{name} ({old.get(name)!r} there, {new.get(name)!r} now)" for name in names]
    if differ:
        allowed = "a new folder, or the configuration it was made with; these differ: " + ", ".join(
            differ
        )
        raise InputError("--workdir", str(path), allowed)
    if there["data"].get("crc32") != description["data"]["crc32"]:
        raise InputError(
            "--workdir",
            str(path),
            "a new folder, or the images it was made with; the data set has changed",
        )
    for name in ("pretrained", "networks"):
        if there.get(name) != json.loads(json.dumps(description.get(name))):
            allowed = f"a new folder, or the weights it was made with; those of {name} have changed"
            raise InputError("--workdir", str(path), allowed)


def _circumstances() -> dict:
    """What may differ between two starts of one run."""
    return {
        "version": jaxloop.__version__,
        "git_commit": _git_commit(),
        "jax": jax.__version__,
        "device": f"{jax.devices()[0].device_kind} x{jax.device_count()}",
    }


def _git_commit() -> str | None:
    """The commit of the code that runs, with "+" if it was changed since; None outside a checkout."""
    here = os.path.dirname(jaxloop.__file__)

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", here, *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + (
            "+" if git("status", "--porcelain", "--untracked-files=no") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return None
