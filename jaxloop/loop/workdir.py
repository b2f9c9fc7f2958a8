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
from jaxloop.report.records import write_atomic

# Fields that change how a run is kept, not what comes out: a run may go on with others.
FREE = ("checkpoint.every_seconds", "tensorboard")


def claim(path: Path):
    """Makes the folder and locks it; the lock falls with the process, however it ends. Returns the lock to hold on to.

    Raises InputError if it cannot be written, or another process runs in it.
    """
    try:
        for folder in (path, path / "samples", path / "provenance"):
            folder.mkdir(parents=True, exist_ok=True)
        lock = open(path / ".lock", "a")
    except OSError as error:
        raise InputError("--workdir", str(path), f"a folder that can be written ({error.strerror})") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise InputError("--workdir", str(path), "a folder in which no other run is going on") from None
    return lock


def describe(path: Path, spec: config.Spec, description: dict) -> None:
    """Writes config.json, or checks that the one which is there is of the same configuration.

    Raises InputError with every field that differs.
    """
    file = path / "config.json"
    if file.exists():
        _refuse_other(file, path, spec)
    content = {
        "config": config.to_dict(spec),
        "version": jaxloop.__version__,
        "git_commit": _git_commit(),
        "jax": jax.__version__,
        "device": f"{jax.devices()[0].device_kind} x{jax.device_count()}",
        **description,
    }
    write_atomic(file, (json.dumps(content, indent=1) + "\n").encode())


def _refuse_other(file: Path, path: Path, spec: config.Spec) -> None:
    try:
        there = config.resolve(json.loads(file.read_text())["config"])
    except (ValueError, KeyError, TypeError, InputError) as error:
        raise InputError("--workdir", str(path), f"a new folder: its config.json cannot be read ({error})") from None
    old, new = config.flat(there), config.flat(spec)
    differ = [f"{name} ({old[name]!r} there, {new[name]!r} now)" for name in new if old[name] != new[name] and name not in FREE]
    if differ:
        raise InputError("--workdir", str(path), "a new folder, or the configuration it was made with; these differ: " + ", ".join(differ))


def _git_commit() -> str | None:
    """The commit of the code that runs, with "+" if it was changed since; None outside a checkout."""
    here = os.path.dirname(jaxloop.__file__)

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", here, *arguments], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
