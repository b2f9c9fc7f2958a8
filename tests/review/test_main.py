"""What is refused before anything is served: one line, exit code 2."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest

from jaxloop.errors import InputError
from jaxloop.provenance import votes
from jaxloop.provenance.store import LAYOUT
from jaxloop.review import app, material
from jaxloop.review.__main__ import main
from tests.review import fake
from tests.review.process import ROOT


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return fake.write(tmp_path_factory.mktemp("main") / "run", num=4, num_real=0)


def refused(capsys, *argv: str) -> str:
    assert main(list(argv)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("jaxloop: ")
    return err


@pytest.mark.parametrize(
    ("flag", "value", "allowed"),
    [
        ("--port", "x", "an integer in [0, 65535]"), ("--port", "65536", "65535"),
        ("--port", "-1", "[0,"), ("--generation", "x", "an integer >= 0"),
        ("--generation", "3", "one of 1, 2"), ("--generation", "0", "one of 1, 2"),
        ("--real", "1", "[0, 0.9]"), ("--real", "nan", "[0, 0.9]"), ("--real", "few", "a number"),
        ("--real", "0.2", "0 for this run"), ("--rater", " ", "1 to 40 letters"),
        ("--rater", "", "1 to 40 letters"),
    ],
)  # fmt: skip
def test_flags_out_of_range_are_refused(capsys, workdir, flag, value, allowed):
    real = () if flag == "--real" else ("--real=0",)
    line = refused(
        capsys,
        str(workdir),
        f"{flag}={value}",
        "--port=0" if flag != "--port" else f"--port={value}",
        *real,
    )
    assert flag in line and allowed in line


def test_real_pictures_that_do_not_reach_to_a_generation_are_told_of(tmp_path):
    run = fake.write(
        tmp_path / "run", num_real=2
    )  # one of each class, for the first of three generations
    with pytest.raises(InputError, match="--real=0.2 is refused; allowed: 0 for generation 2"):
        material.load(run, 2, 0.2)
    assert material.load(run, 1, 0.2).num_real == 2
    assert material.load(run, 2, 0.0).num_real == 0


def test_the_start_line_tells_what_is_shown_and_what_is_lost(tmp_path):
    few = material.load(
        fake.write(tmp_path / "few", num_real=12), 2, 0.2
    )  # four for each generation
    assert app.described(few, 0) == (
        "generation 2: 16 generated and 4 real pictures (20.0% real), and 44 generated ones behind "
        "them"
    )
    enough = material.load(fake.write(tmp_path / "enough"), 2, 0.2)
    assert app.described(enough, 3) == (
        "generation 2: 60 generated and 16 real pictures (21.1% real); broken lines of "
        "votes.jsonl, left out: 3;"
    )


def test_no_folder_no_configuration_no_images(capsys, workdir, tmp_path):
    assert "the folder of a run" in refused(capsys, str(tmp_path / "nowhere"))
    assert "config.json" in refused(capsys, str(tmp_path))
    bare = shutil.copytree(workdir, tmp_path / "bare")
    shutil.rmtree(bare / "images")
    assert "loop.images=True" in refused(capsys, str(bare), "--real=0")
    (bare / "config.json").write_text("{}")
    assert "the configuration that a run wrote" in refused(capsys, str(bare))
    (bare / "config.json").write_text(json.dumps({"data": [], "config": {}}))
    assert "the configuration that a run wrote" in refused(capsys, str(bare))


def test_a_workdir_of_another_version(capsys, workdir, tmp_path):
    other = shutil.copytree(workdir, tmp_path / "other")
    content = json.loads((other / "config.json").read_text())
    for layout in ({}, {"layout": LAYOUT - 1}, {"layout": str(LAYOUT)}):
        (other / "config.json").write_text(json.dumps(content | {"layout": None} | layout))
        assert f'"layout": {LAYOUT} in its config.json' in refused(capsys, str(other), "--real=0")
    (other / "config.json").write_text("[" * 5000)
    assert "nested too deeply" in refused(capsys, str(other), "--real=0")


def test_a_home_folder_is_expanded(capsys, workdir, monkeypatch):
    monkeypatch.setenv("HOME", str(workdir.parent))
    assert f"WORKDIR='{workdir.parent}/nowhere'" in refused(capsys, "~/nowhere")
    assert "--generation" in refused(capsys, "~/run", "--generation=9")
    assert "WORKDIR=''" in refused(capsys, "")


def test_a_server_whose_line_nobody_reads_serves_and_leaves_deep_lines_out(tmp_path):
    run = fake.write(tmp_path / "run", num=4, num_real=0)
    (run / "votes.jsonl").write_text("[" * 5000 + "\n")
    assert "left out: 1;" in app.described(material.load(run, None, 0.0), votes.tally(run).torn)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jaxloop.review", str(run), "--real=0", f"--port={port}"]
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE, cwd=ROOT) as process:
        os.close(writer)
        for _ in range(300):
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            time.sleep(0.05)
        assert process.poll() is None
        process.kill()
        assert process.stderr.read() == b""


def test_a_port_in_use(capsys, workdir):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert "in use" in refused(capsys, str(workdir), "--real=0", f"--port={port}")


def test_without_flask(capsys, workdir, monkeypatch):
    for module in ("app", "server"):
        monkeypatch.delitem(sys.modules, f"jaxloop.review.{module}", raising=False)
        monkeypatch.delattr(f"jaxloop.review.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "flask", None)  # what Python takes for "not there"
    assert "pip install -c constraints.txt -e '.[review]'" in refused(capsys, str(workdir))
