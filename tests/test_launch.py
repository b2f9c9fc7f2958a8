"""The launch scripts; the installer and Python are scripts that note their arguments."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]

INSTALLER = """#!/bin/sh
echo "$@" >> installed
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
    _write_script(tmp_path / "bin" / "uv", INSTALLER)
    return tmp_path


def _write_script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def launch(checkout: Path, script: str, *arguments: str, cwd: Path | None = None):
    environment = {**os.environ, "PATH": f"{checkout / 'bin'}:{os.environ['PATH']}"}
    command = ["bash", str(checkout / "launch" / script), *arguments]
    return subprocess.run(
        command, cwd=cwd or checkout, env=environment, capture_output=True, text=True
    )


def installed(checkout: Path) -> list[str]:
    return (checkout / "installed").read_text().splitlines()


def test_local_installs_once_and_runs_the_default(checkout):
    default = "ran -m jaxloop.main --config=configs/digits.py --workdir=runs/digits\n"
    assert launch(checkout, "local.sh").stdout == default
    assert [line.split()[0] for line in installed(checkout)] == ["venv", "pip"]
    assert installed(checkout)[1].endswith("--constraint constraints.txt --editable .")
    launch(checkout, "local.sh")
    assert len(installed(checkout)) == 2


def test_arguments_replace_those_of_main_and_not_the_extras(checkout, tmp_path):
    arguments = ("--config=configs/digits.py:biased", "--workdir=/a b")
    out = launch(checkout, "local.sh", *arguments, cwd=tmp_path.parent).stdout
    assert out == "ran -m jaxloop.main --config=configs/digits.py:biased --workdir=/a b\n"
    assert installed(checkout)[1].endswith("--editable .")


def test_tests_install_their_extra_even_where_the_run_is_installed(checkout):
    launch(checkout, "local.sh")
    out = launch(checkout, "test.sh", "tests/metrics", "-x").stdout
    assert out == "ran -m pytest tests/metrics -x\n"  # and no linter
    assert installed(checkout)[-1].endswith("--editable .[test]")


def test_tests_start_with_the_lines_of_pre_commit(checkout):
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook["entry"] for hook in config["repos"][0]["hooks"]]
    lines = launch(checkout, "test.sh").stdout.splitlines()
    assert [line.replace("ran", ".venv/bin/python", 1) for line in lines[:-2]] == hooks
    quick, rest = lines[-2:]
    assert "pytest" in quick and "-m not slow and not networks --cov" in quick
    assert "pytest" in rest and rest.endswith("-m slow or networks")  # together: every test


@pytest.mark.parametrize("failing", ["ruff check", "ruff format", "pyright", "not slow"])
def test_the_first_failure_ends_the_tests_with_its_code(checkout, failing):
    launch(checkout, "test.sh", "x")
    python = f'#!/bin/sh\necho "ran $*"\ncase "$*" in *"{failing}"*) exit 7;; esac\n'
    _write_script(checkout / ".venv" / "bin" / "python", python)
    result = launch(checkout, "test.sh")
    assert result.returncode == 7 and failing in result.stdout.splitlines()[-1]


def test_a_changed_pin_installs_again(checkout):
    launch(checkout, "local.sh")
    with open(checkout / "constraints.txt", "a") as file:
        file.write("something==1\n")
    launch(checkout, "local.sh")
    assert len(installed(checkout)) == 3


def test_oracles_go_into_the_environment_that_is_there(checkout):
    result = launch(checkout, "oracles.sh")
    assert result.returncode == 2 and "run launch/test.sh first" in result.stderr
    launch(checkout, "test.sh", "x")
    _write_script(checkout / "bin" / "python3", '#!/bin/sh\necho "$@" >> installed\n')
    assert launch(checkout, "oracles.sh").returncode == 0
    torch, others = installed(checkout)[-2:]
    assert "--python .venv/bin/python" in torch and torch.endswith("torch==2.13.0")
    assert "--no-deps torchvision==" in others and "timm==" in others
