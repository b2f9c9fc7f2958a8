"""Files under people's hands: links, pipes, deep nesting, file systems without locks or a home."""

import errno
import fcntl
import io
import os
import pwd
import stat
import subprocess
import sys

import pytest

from jaxloop import files
from jaxloop.errors import InputError

DEEP = b"[" * 5000 + b"]" * 5000


@pytest.fixture(autouse=True)
def fresh():
    files.warn.cache_clear()
    files._temporary_cache.cache_clear()


@pytest.fixture
def homeless(monkeypatch):
    """A user id without a name, and no HOME."""

    def nobody(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)


def test_nesting_too_deep_is_a_line_that_is_not_json(tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b"1\n" + DEEP + b"\n2\n" + DEEP)
    assert files.appended(path) == ([(1, 1), (3, 2)], 2)
    with pytest.raises(InputError, match=r"lines.jsonl:2.*a line of JSON"):
        files.read_lines(path, "lines")
    path.write_bytes(b"1\n" + DEEP)  # torn, for all that is known
    assert files.read_lines(path, "lines") == [(1, 1)]


def test_what_is_no_regular_file_is_neither_read_nor_written(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"1\n")
    (tmp_path / "link").symlink_to(elsewhere)
    (tmp_path / "dangling").symlink_to(tmp_path / "new")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("link", "dangling", "pipe", "folder"):
        for touch in (files.appended, lambda path: files.append_line(path, 2)):
            with pytest.raises(InputError, match=f"{name}.*regular file"):
                touch(tmp_path / name)
    assert elsewhere.read_bytes() == b"1\n" and not (tmp_path / "new").exists()
    with pytest.raises(InputError, match="pipe"):
        files.read_lines(tmp_path / "pipe", "log")
    assert files.read_lines(tmp_path / "link", "log") == [(1, 1)]  # a log may lie elsewhere


def test_a_held_lock_is_told_from_a_file_system_without_locks(tmp_path, monkeypatch, capsys):
    with open(tmp_path / "lock", "a") as one, open(tmp_path / "lock", "a") as other:
        assert files.lock(one, wait=False) and not files.lock(other.fileno(), wait=False)
    for number in (errno.ENOSYS, errno.ENOLCK):

        def without(*_, number=number):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", without)
        for content in (1, 2):
            files.append_line(tmp_path / f"{number}.jsonl", content)
        assert files.appended(tmp_path / f"{number}.jsonl") == ([(1, 1), (2, 2)], 0)
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and os.strerror(number) in err and "warning" in err


def test_a_home_is_expanded_or_missed(monkeypatch, homeless):
    for path in ("~", "~/runs", ""):
        with pytest.raises(InputError, match="--workdir"):
            files.expanded(path, "--workdir")
    monkeypatch.setenv("HOME", "/home/ada")
    assert str(files.expanded("~/runs/~x")) == "/home/ada/runs/~x"
    assert str(files.expanded("runs")) == "runs" and str(files.expanded("a~")) == "a~"


def test_a_cache_can_be_written_or_is_temporary(tmp_path, monkeypatch, homeless, capsys):
    temporary = files.cache("statistics")
    assert stat.S_IMODE(temporary.parent.stat().st_mode) == 0o700
    temporary.mkdir()  # can be written
    assert files.cache("statistics") == temporary and capsys.readouterr().err.count("\n") == 1
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.cache("a") == tmp_path / ".cache" / "jaxloop" / "a" and files.cache("a").is_dir()
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert files.cache("a") == temporary.with_name("a")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert files.cache("a") == tmp_path / "elsewhere" / "jaxloop" / "a"


def test_any_stream_takes_any_line():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    files.say("Š \udcff ü", stream)
    assert stream.buffer.getvalue() == b"? ? \xfc\n"
    script = "from jaxloop import files\nfor i in range(3): files.say('x' * 100_000)\nprint('y')"
    reader, writer = os.pipe()
    os.close(reader)  # who has read enough
    done = subprocess.run([sys.executable, "-c", script], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
