"""The command line: bad input ends with exit code 2 and one line that names the field, the value
and what is allowed."""

import gzip
import importlib.util
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import OF_COMMANDS

ROOT = Path(__file__).parents[1]
DIGITS = "--config=configs/digits.py"


def run(*arguments: str, module: str = "jaxloop.main", cwd: Path = ROOT, **environment: str):
    environment = {**OF_COMMANDS, **environment}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
    )


def refused(done) -> str:
    """The one line on stderr of a run that was refused."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ([], ["--config", "configs/digits.py"]),
        (["--config=configs/nothing.py"], ["--config", "configs/nothing.py", "exists"]),
        (
            ["--config=configs/digits.py:bised"],
            ["bised", "biased, unbiased, collapse, ideal, planted"],
        ),
        (["--config", "configs/nothing.py"], ["--config", "configs/nothing.py", "exists"]),
    ],
)
def test_which_config(config, says):
    line = refused(run(*config))
    assert all(word in line for word in says), line


def test_a_config_file_that_is_broken(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def get_config(): return 1 +\n")
    assert "mine.py" in refused(run(f"--config={file}"))


def test_a_workdir_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    line = refused(run(DIGITS, f"--workdir={tmp_path / 'file' / 'w'}"))
    assert "--workdir" in line and "can be written" in line


def test_a_broken_idx_file(tmp_path):
    with gzip.open(tmp_path / "t10k-images-idx3-ubyte.gz", "wb") as file:
        file.write(b"not an image")
    with gzip.open(tmp_path / "t10k-labels-idx1-ubyte.gz", "wb") as file:
        file.write(b"not a label")
    line = refused(
        run(
            "--config=configs/mnist.py",
            f"--config.data.path={tmp_path}",
            f"--workdir={tmp_path / 'w'}",
        )
    )
    assert "config.data.path" in line and "t10k-" in line


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is not None, reason="TensorFlow is installed"
)
def test_tensorboard_without_its_extra(tmp_path):
    line = refused(run(DIGITS, f"--workdir={tmp_path / 'w'}", "--config.tensorboard=True"))
    assert "config.tensorboard" in line and "[tensorboard]" in line


SHORT = (
    "--config.seeds=0,", "--config.loop.generations=1", "--config.data.image_size=12",
    "--config.generator.epochs=1",
    "--config.classifier.epochs=1", "--config.classifier.width=0.05", "--config.classifiers=lenet",
)  # fmt: skip


@pytest.mark.slow
def test_a_run_its_report_and_a_second_start(tmp_path):
    workdir, as_users = tmp_path / "w", partial(run, XLA_FLAGS="")
    first = as_users(DIGITS, f"--workdir={workdir}", *SHORT)
    assert first.returncode == 0, first.stderr
    assert "does bias grow?" in first.stdout and "report.html" in first.stdout
    for name in (
        "config.json",
        "records.jsonl",
        "report.html",
        "report.json",
        "samples/g01_s0.png",
        "provenance/g01_s0.jsonl",
    ):
        assert (workdir / name).stat().st_size > 0, name
    records, page = (workdir / "records.jsonl").read_bytes(), (workdir / "report.html").read_bytes()

    # How often it is saved may change.
    again = as_users(DIGITS, f"--workdir={workdir}", *SHORT, "--config.checkpoint.every_seconds=3")
    assert again.returncode == 0 and again.stdout == first.stdout
    assert (workdir / "records.jsonl").read_bytes() == records

    other = refused(
        as_users(
            DIGITS,
            f"--workdir={workdir}",
            *SHORT,
            "--config.filter.drop=0.2",
            "--config.loop.mix=0.5",
        )
    )
    assert "filter.drop (0.1 there, 0.2 now)" in other and "loop.mix (0.3 there, 0.5 now)" in other
    (workdir / "report.html").unlink()
    rebuilt = as_users(str(workdir), module="jaxloop.report")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert (workdir / "report.html").read_bytes() == page


def test_default_workdir_is_named_after_the_config(monkeypatch):
    code = (
        "import sys; sys.argv = ['main', '--config=configs/digits.py:biased']\n"
        "from jaxloop import main\nprint(main.parse(sys.argv)[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert done.stdout.strip() == os.path.join("runs", "digits-biased"), done.stderr


def test_a_run_that_waits_for_people_says_so_and_has_an_exit_code_of_its_own(monkeypatch, capsys):
    from jaxloop import main
    from jaxloop.errors import Waiting
    from jaxloop.run import driver
    from jaxloop.spec import Spec

    def waits(spec, workdir, profile):
        raise Waiting(f"generation 1 of {workdir} waits")

    flags = SimpleNamespace(FLAGS=SimpleNamespace(dry_run=False, profile=False))
    monkeypatch.setattr(main, "flags", flags)
    monkeypatch.setattr(main, "parse", lambda argv: (Spec(), Path("w")))
    monkeypatch.setattr(main, "set_up_jax", lambda: None)
    monkeypatch.setattr(driver, "run", waits)
    assert main.main() == 3
    assert capsys.readouterr().err == "jaxloop: generation 1 of w waits\n"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_the_same_command_goes_on(tmp_path, number, code):
    """In the middle of the first classifier, which then trains for minutes."""
    long = [DIGITS, f"--workdir={tmp_path / 'w'}", *SHORT, "--config.classifier.epochs=100000"]
    long += ["--config.classifier.patience=100000", "--config.checkpoint.every_seconds=3600"]
    process = subprocess.Popen(
        [sys.executable, "-m", "jaxloop.main", *long],
        cwd=ROOT, env=OF_COMMANDS, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (tmp_path / "w" / "images" / "real.png").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(5)  # compiled, and training
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == code, error
    assert "Traceback" not in error and "interrupted and saved" in error
    saved = [p for p in (tmp_path / "w" / "checkpoints").iterdir() if p.name.isdigit()]
    assert len(saved) == 1


@pytest.mark.slow
def test_what_a_shell_sets_changes_no_number(tmp_path):
    """JAX_ENABLE_X64 and the like are pinned; a profile is written; the output may be no UTF-8."""
    plain = run(DIGITS, f"--workdir={tmp_path / 'a'}", *SHORT)
    shell = {"JAX_ENABLE_X64": "1", "JAX_DEFAULT_PRNG_IMPL": "rbg", "PYTHONIOENCODING": "latin-1"}
    shell |= {"JAX_DEBUG_NANS": "1", "PYTHONWARNINGS": "error"}
    other = run(DIGITS, f"--workdir={tmp_path / 'b'}", *SHORT, "--profile", **shell)
    assert plain.returncode == other.returncode == 0, other.stderr
    assert "JAX_ENABLE_X64 of the shell is not used" in other.stderr
    assert "PYTHONWARNINGS of the shell is not used" in other.stderr
    records = [(tmp_path / name / "records.jsonl").read_bytes() for name in "ab"]
    assert records[0] == records[1]
    assert list((tmp_path / "b" / "profile").rglob("*.xplane.pb"))


def test_a_platform_without_a_device_is_refused(tmp_path):
    line = refused(run(DIGITS, f"--workdir={tmp_path / 'w'}", JAX_PLATFORMS="cuda"))
    assert "JAX_PLATFORMS" in line
