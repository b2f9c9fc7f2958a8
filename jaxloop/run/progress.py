"""What a person sees while it runs: the stage, the generation and the time left."""

import json
import resource
import sys
import time
from pathlib import Path

from tqdm import tqdm

from jaxloop.files import write_atomic
from jaxloop.loop.state import Cursor


class Timing:
    """timing.jsonl: the wall clock. It is no result and differs from run to run, so it is not in the records.

    last: stage -> the seconds that it took last time, of this process or of an earlier one.
    """

    def __init__(self, file: Path):
        self._file = file
        self._lines = file.read_text().splitlines() if file.exists() else []
        self.last: dict[str, float] = {}
        for line in list(self._lines):
            try:
                row = json.loads(line)
                self.last[row["stage"]] = float(row["seconds"])
            except (
                ValueError,
                KeyError,
                TypeError,
            ):  # a line that a crash tore: nobody's result, and not to be kept
                self._lines.remove(line)

    def add(self, generation: int, stage: str, seconds: float) -> None:
        """One stage that ended, with the peak memory of the process so far."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            2**20 if sys.platform == "darwin" else 2**10
        )
        row = {
            "generation": generation,
            "stage": stage,
            "seconds": round(seconds, 3),
            "peak_memory_mb": round(peak),
        }
        self._lines.append(json.dumps(row))
        write_atomic(self._file, "".join(line + "\n" for line in self._lines).encode())


class Progress:
    """A bar on a terminal; elsewhere a line a generation. Also the stopwatch of every stage.

    The time left is the sum over the stages to come of what the same stage took last time, so it is known once every
    stage was seen: after generation 1, or from the start of a run that goes on.
    """

    def __init__(
        self,
        stages: tuple[str, ...],
        generations: int,
        cursor: Cursor,
        last: dict[str, float],
        arm: str = "",
    ):
        """`last`: stage -> seconds that it took in an earlier process. `arm`: said before what goes on, where there are two."""
        self.stages, self.generations, self.last = stages, generations, dict(last)
        self.arm = arm and f"{arm}: "
        self.began = time.monotonic()
        self.generation_began = self.began
        self.bar = tqdm(
            total=(generations + 1) * len(stages),
            initial=self._position(cursor),
            disable=not sys.stderr.isatty(),
            bar_format="{desc:<46} {percentage:3.0f}%|{bar:24}| {elapsed}{postfix}",
        )
        self.show(cursor)

    def show(self, cursor: Cursor) -> None:
        """Called after every step."""
        if cursor.generation > self.generations:
            return
        what = f"{self.arm}generation {cursor.generation}/{self.generations}  {self.stages[cursor.stage]}"
        self.bar.set_description_str(
            what + (f"  epoch {cursor.step + 1}" if cursor.step else ""), refresh=False
        )
        self.bar.set_postfix_str(
            self._left(cursor).removeprefix(", "), refresh=False
        )  # tqdm writes the comma
        self.bar.n = self._position(cursor)
        self.bar.refresh()

    def stage_done(self, cursor: Cursor) -> tuple[str, float]:
        """Called with the cursor of a stage that ended -> (its name, seconds that it took in this process)."""
        now = time.monotonic()
        name, seconds = self.stages[cursor.stage], now - self.began
        self.last[name] = seconds
        self.began = now
        if cursor.stage == len(self.stages) - 1:
            if self.bar.disable:
                after = Cursor(cursor.generation + 1, 0, 0)
                took = now - self.generation_began
                line = f"{self.arm}generation {cursor.generation}/{self.generations} done in {took:.0f} s{self._left(after)}"
                print(line, file=sys.stderr, flush=True)
            self.generation_began = now
        return name, seconds

    def close(self) -> None:
        self.bar.close()

    def _position(self, cursor: Cursor) -> int:
        return cursor.generation * len(self.stages) + cursor.stage

    def _left(self, cursor: Cursor) -> str:
        if cursor.generation > self.generations:
            return ""
        if any(name not in self.last for name in self.stages):
            return ", time left: known after generation 1"
        whole = (self.generations - cursor.generation) * sum(self.last.values())
        current = sum(self.last[name] for name in self.stages[cursor.stage :])
        seconds = max(0.0, whole + current - (time.monotonic() - self.began))
        return f", about {tqdm.format_interval(seconds)} left"
