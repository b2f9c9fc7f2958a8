"""The server as people start it: a process of its own."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from jaxloop.provenance import votes

ROOT = Path(__file__).parents[2]


class Server:
    """`python -m jaxloop.review` as a process; started again, at the same port."""

    def __init__(self, workdir: Path):
        self.workdir, self.port = workdir, 0
        self.start()

    def start(self) -> None:
        # Tests that were started in the background ignore interrupts, and so would every
        # process of theirs.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jaxloop.review", str(self.workdir), f"--port={self.port}"],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        signal.signal(signal.SIGINT, before)
        line = self.process.stdout.readline()
        self.url = re.search(r"http://127\.0\.0\.1:(\d+)/$", line)[0]
        self.port = int(self.url.split(":")[2].strip("/"))

    def end(self, number: int) -> tuple[int, str]:
        """(exit code, stderr) after a signal."""
        self.process.send_signal(number)
        _, error = self.process.communicate(timeout=15)
        return self.process.returncode, error

    def standing(self, rater: str) -> dict[str, str]:
        """{sha256: verdict}"""
        return {
            v.sha256: v.verdict
            for v in votes.standing(votes.read(self.workdir)).values()
            if v.rater == rater
        }
