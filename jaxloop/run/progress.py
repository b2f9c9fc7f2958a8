"""What a person sees while it runs: the stage, its step, the generation and the time left."""

import json
import re
import resource
import sys
import time
from pathlib import Path

from tqdm import tqdm

from jaxloop.files import write_atomic
from jaxloop.loop.state import Cursor

# Share of a stage's time spent waiting for images from which on progress says so, after 5 seconds.
BOTTLENECK = 0.1


class Timing:
    """timing.jsonl: the wall clock. It is no result and differs from run to run, so it has its own
    file.

    last: stage -> the seconds that it took last time, of this process or of an earlier one.
    """

    def __init__(self, file: Path):
        self._file = file
        text = file.read_bytes().decode(errors="replace") if file.exists() else ""
        self._lines: list[str] = []
        self.last: dict[str, float] = {}
        for line in text.splitlines():
            try:
                row = json.loads(line)
                self.last[row["stage"]] = float(row["seconds"])
                self._lines.append(line)
            except (ValueError, KeyError, TypeError):  # torn by a crash: no result is lost with it
                pass

    def add(self, generation: int, stage: str, seconds: float, waited: float = 0.0) -> None:
        """Add a stage that ended, with the peak memory of the process so far.

        waited: seconds in which it waited for images.
        """
        row = {"generation": generation, "stage": stage, "seconds": round(seconds, 3)}
        row |= {"waited_for_images": round(waited, 3)} if waited else {}
        self._lines.append(json.dumps(row | {"peak_memory_mb": round(peak_memory())}))
        write_atomic(self._file, "".join(line + "\n" for line in self._lines).encode())


def peak_memory() -> float:
    """Return the largest resident size of this process so far, in MB."""
    status = Path("/proc/self/status")
    text = status.read_text() if status.exists() else ""
    # Linux's ru_maxrss starts at that of whoever started the process. Some sandboxes have no VmHWM.
    if match := re.search(r"VmHWM:\s*(\d+) kB", text):
        return int(match[1]) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


class Progress:
    """A bar on a terminal; elsewhere a line a generation. Also the stopwatch of every stage.

    The time left is the sum over the stages to come of what the same stage took last time, so it is
    known once every stage has run: after generation 1, or at once where a run goes on.
    """

    def __init__(
        self, stages: tuple[str, ...], generations: int, cursor: Cursor, last, arm: str = ""
    ):
        """last: stage -> seconds in an earlier process.  arm: its name, where there are several."""
        self.stages, self.generations, self.last = stages, generations, dict(last)
        self.arm = arm and f"{arm}: "
        self.start = self.generation_start = time.monotonic()
        self.bar = tqdm(
            total=float((generations + 1) * len(stages)),
            initial=self._position(cursor, 0),  # type: ignore[arg-type]
            disable=not sys.stderr.isatty(),
            bar_format="{desc:<52} {percentage:3.0f}%|{bar:20}| {elapsed}{postfix}",
        )

    def show(self, cursor: Cursor, steps: int = 0, waiting: float = 0.0) -> None:
        """Show where the run is.

        Args:
          steps: of the stage at the cursor, where known.
          waiting: share of its time in which it has waited for images.
        """
        if cursor.generation > self.generations or self.bar.disable:
            return
        where = f"{self.arm}generation {cursor.generation}/{self.generations}"
        where += f"  {self.stages[cursor.stage]}"
        if cursor.step:
            where += f"  {cursor.step}/{steps}" if steps else f"  {cursor.step}"
        where += f"  {waiting:.0%} waiting for images" if waiting >= BOTTLENECK else ""
        self.bar.set_description_str(where, refresh=False)
        left = self._left(cursor).removeprefix(", ")  # tqdm writes the comma
        self.bar.set_postfix_str(left, refresh=False)
        self.bar.n = self._position(cursor, steps)
        self.bar.refresh()

    def share(self, seconds: float) -> float:
        """Return how much of the current stage's time these seconds are."""
        return seconds / max(time.monotonic() - self.start, 1e-3)

    def stage_done(self, cursor: Cursor, waited: float = 0.0) -> tuple[str, float]:
        """Take the cursor of a stage that ended -> (its name, its seconds in this process).

        waited: seconds of these in which it waited for images.
        """
        now = time.monotonic()
        name, seconds = self.stages[cursor.stage], now - self.start
        if waited >= max(BOTTLENECK * seconds, 5) and self.bar.disable:
            line = f"{self.arm}{name} waited {waited:.0f} of {seconds:.0f} s for images: decoding "
            print(line + "is the bottleneck", file=sys.stderr, flush=True)
        self.last[name], self.start = seconds, now
        if cursor.stage == len(self.stages) - 1:
            if self.bar.disable:
                after = self._left(Cursor(cursor.generation + 1, 0, 0))
                line = f"{self.arm}generation {cursor.generation}/{self.generations} done in "
                line += f"{now - self.generation_start:.0f} s{after}"
                print(line, file=sys.stderr, flush=True)
            self.generation_start = now
        return name, seconds

    def close(self) -> None:
        self.bar.close()

    def _position(self, cursor: Cursor, steps: int) -> float:
        within = cursor.step / steps if steps else 0.0
        return cursor.generation * len(self.stages) + cursor.stage + min(within, 1.0)

    def _left(self, cursor: Cursor) -> str:
        if cursor.generation > self.generations:
            return ""
        if any(name not in self.last for name in self.stages):
            return ", time left: known after generation 1"
        whole = (self.generations - cursor.generation) * sum(self.last.values())
        current = sum(self.last[name] for name in self.stages[cursor.stage :])
        seconds = max(0.0, whole + current - (time.monotonic() - self.start))
        return f", about {tqdm.format_interval(seconds)} left"
