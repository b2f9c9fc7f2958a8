"""Law 4: once the queue is full, a generation costs the same however late it comes."""

import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import OF_COMMANDS

ROOT = Path(__file__).parents[2]
FULL = 3  # the generation at which the queue is full


@pytest.mark.slow
def test_memory_and_time_do_not_grow_with_generations(tmp_path):
    command = (
        "-m", "jaxloop.main", "--config=configs/digits.py", f"--workdir={tmp_path / 'w'}",
        "--config.seeds=0,1", "--config.loop.generations=12", f"--config.loop.capacity={FULL}",
        "--config.arms=", "--config.data.image_size=12", "--config.generator.epochs=4",
        "--config.classifier.epochs=4", "--config.classifier.width=0.05",
    )  # fmt: skip
    environment = {
        **OF_COMMANDS,
        "JAX_COMPILATION_CACHE_MAX_SIZE": "-1",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "c"),
    }
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = [
        json.loads(line) for line in (tmp_path / "w" / "timing.jsonl").read_text().splitlines()
    ]
    peak, seconds = {}, {}
    for line in lines:
        generation = line["generation"]
        peak[generation] = line["peak_memory_mb"]
        if not line["stage"].startswith("classifier"):  # early stopping decides how long those take
            seconds[generation] = seconds.get(generation, 0) + line["seconds"]
    # The peak is of the whole process and never falls. 6 %: the allocator wandering; measured, 4 %
    # from generation 4 to 16, and it levels off (with MALLOC_ARENA_MAX=2: 2 %).
    assert peak[12] <= 1.06 * peak[4], peak
    # Machines are noisy, so medians over four generations. A cost in proportion to t would give
    # 1.9.
    early = statistics.median(seconds[g] for g in range(FULL + 1, FULL + 5))
    late = statistics.median(seconds[g] for g in range(9, 13))
    assert late <= 1.75 * early, seconds
