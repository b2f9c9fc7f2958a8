"""The two commands, with the installer replaced by one that only notes what it was asked."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

INSTALLER = """#!/bin/sh
echo "$@" >> asked
if [ "$1" = venv ]; then
    mkdir -p .venv/bin
    printf '#!/bin/sh\\necho "ran $*"\\n' > .venv/bin/python
    chmod +x .venv/bin/python
fi
"""


@pytest.fixture
def checkout(tmp_path) -> Path:
    shutil.copytree(ROOT / "launch", tmp_path / "launch")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "uv").write_text(INSTALLER)
    (tmp_path / "bin" / "uv").chmod(0o755)
    return tmp_path


def launch(checkout: Path, script: str, *arguments: str, cwd: Path | None = None) -> str:
    environment = {**os.environ, "PATH": f"{checkout / 'bin'}:{os.environ['PATH']}"}
    command = ["bash", str(checkout / "launch" / script), *arguments]
    return subprocess.run(
        command, cwd=cwd or checkout, env=environment, capture_output=True, text=True, check=True
    ).stdout


def asked(checkout: Path) -> list[str]:
    return (checkout / "asked").read_text().splitlines()


def test_local_installs_once_and_runs_the_default(checkout):
    assert (
        launch(checkout, "local.sh")
        == "ran -m jaxloop.main --config=configs/digits.py --workdir=runs/digits\n"
    )
    assert [line.split()[0] for line in asked(checkout)] == ["venv", "pip"]
    assert asked(checkout)[1].endswith("--constraint constraints.txt --editable .")
    launch(checkout, "local.sh")
    assert len(asked(checkout)) == 2


def test_arguments_replace_those_of_main_and_not_the_extras(checkout, tmp_path):
    out = launch(
        checkout,
        "local.sh",
        "--config=configs/digits.py:biased",
        "--workdir=/a b",
        cwd=tmp_path.parent,
    )
    assert out == "ran -m jaxloop.main --config=configs/digits.py:biased --workdir=/a b\n"
    assert asked(checkout)[1].endswith("--editable .")


def test_tests_install_their_extra_even_where_the_run_is_installed(checkout):
    launch(checkout, "local.sh")
    assert launch(checkout, "test.sh", "tests/metrics", "-x") == "ran -m pytest tests/metrics -x\n"
    assert asked(checkout)[-1].endswith("--editable .[test]")


def test_a_changed_pin_installs_again(checkout):
    launch(checkout, "local.sh")
    with open(checkout / "constraints.txt", "a") as file:
        file.write("something==1\n")
    launch(checkout, "local.sh")
    assert len(asked(checkout)) == 3


def test_oracles_go_into_the_environment_that_is_there(checkout):
    environment = {**os.environ, "PATH": f"{checkout / 'bin'}:{os.environ['PATH']}"}
    command = ["bash", str(checkout / "launch" / "oracles.sh")]
    without = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert without.returncode == 2 and "run launch/test.sh first" in without.stderr
    launch(checkout, "test.sh", "x")
    (checkout / "bin" / "python3").write_text('#!/bin/sh\necho "$@" >> asked\n')
    (checkout / "bin" / "python3").chmod(0o755)
    launch(checkout, "oracles.sh")
    torch, rest = asked(checkout)[-2:]
    assert "--python .venv/bin/python" in torch and torch.endswith("torch==2.13.0")
    assert "--no-deps torchvision==" in rest and "timm==" in rest
