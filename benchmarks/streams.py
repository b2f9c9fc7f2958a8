"""Training images that stay on disk: memory and speed against the bare decoder.

    python -m benchmarks.streams PHOTOGRAPHS [--sizes 5000,10000,20000] [--memory disk]

PHOTOGRAPHS is a folder with {train,val}/WNID/FILE. For each size it makes a set of that many
training images of 224x224 (links to these files, under two classes of Living-17) in a temporary
folder, and trains LeNet for one epoch, batch 64, in a process of its own. Prints a row of
Markdown each: images, their bytes decoded, the process's peak memory after its first window and at
the end, images a second, the share of the time that it waited for images; and in the same process,
in as many threads, nothing else running, the images a second of the bare decoder (of `decoded`,
the bare reader). The queue has room for 100 images: it lies on the devices, whatever data.memory
says.

    python -m benchmarks.streams TREE --one

measures a tree that is there, in this process, which a shell may have put under a limit.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from multiprocessing.pool import ThreadPool
from pathlib import Path

import jax
import numpy as np

from jaxloop import config, devices
from jaxloop.data import breeds_table
from jaxloop.loop import advance, stages
from jaxloop.loop.state import on_devices
from jaxloop.main import limit_arenas
from jaxloop.run import build
from jaxloop.run.progress import peak_memory

DECODED = 2000  # images, of the bare decoder's time
KEPT = 100  # generated images that the queue has room for: it lies on the devices


def write(photographs: Path, root: Path, size: int) -> None:
    """Make a tree of `size` training images, links to the photographs in turn."""
    files = sorted(photographs.glob("train/*/*.JPEG"))
    rows = [row[:2] for _, row in breeds_table.table("living17")[:2]]
    wnids = [wnid for row in rows for wnid in row]
    for split, num in (("train", size), ("val", 8)):
        for wnid in wnids:
            (root / split / wnid).mkdir(parents=True)
        for i, file in zip(range(num), itertools.cycle(files), strict=False):
            (root / split / wnids[i % len(wnids)] / f"{i}.JPEG").symlink_to(file.resolve())


def measured(root: Path, memory: str) -> dict:
    """Train an epoch -> the numbers of a row."""
    limit_arenas()
    c = config.default()
    c.data.name, c.data.path, c.data.partial = "living17", str(root), True
    c.data.image_size, c.data.memory, c.data.validation = 224, memory, 0.01
    c.seeds, c.loop.generations, c.arms, c.classifiers = (0,), 0, (), ("lenet",)
    c.loop.mix, c.loop.capacity = KEPT / len(list(root.glob("train/*/*"))), 1
    c.classifier.epochs, c.classifier.image_size, c.measure.images = 1, 32, 100
    c.measure.evaluators = ("classification",)
    experiment = build.build(config.resolve(c), devices=jax.devices()[:1])[0]
    built, seeds = stages.build(experiment), advance.seeds_on_devices(experiment)
    state = on_devices(advance.initial(experiment, built), experiment.seeds)
    number = state.cursor.stage
    stage = built[number]
    state = advance.step(built, seeds, state, int(min(stage.longest, 4)))
    early, first, begin = peak_memory(), state.cursor.step, time.monotonic()
    waited = stage.waited()
    while state.cursor.stage == number:
        state = advance.step(built, seeds, state, 10**6)
    seconds, total = time.monotonic() - begin, experiment.trainers["lenet"].steps_per_epoch
    row = {
        "images": len(experiment.constants.train.label),
        "decoded_gib": experiment.num_real * 224 * 224 * 3 / 2**30,
        "early_mib": early,
        "peak_mib": peak_memory(),
        "rate": (total - first) * c.classifier.batch_size / seconds,
        "waiting": (stage.waited() - waited) / seconds,
    }
    return row | {"bare": bare_rate(experiment.host)}


def bare_rate(host) -> float:
    """Return how many images a second the decoder gives, with nothing beside it."""
    if host is None:
        return float("nan")
    index = np.random.default_rng(0).permutation(len(host))[:DECODED]
    begin = time.monotonic()
    with ThreadPool(devices.cores()) as pool:
        pool.map(lambda i: host.read([i]), index)
    return len(index) / (time.monotonic() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--sizes", default="5000,10000,20000")
    parser.add_argument("--memory", default="disk")
    parser.add_argument("--one", action="store_true", help="measure this tree, in this process")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(options.photographs, options.memory)))
        return
    heads = (
        "images",
        "decoded GiB",
        "peak MiB, early",
        "peak MiB",
        "images/s",
        "waiting",
        "bare",
        "ratio",
    )
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}", flush=True)
    for size in map(int, options.sizes.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            write(options.photographs, Path(folder), size)
            command = [sys.executable, "-m", "benchmarks.streams", folder, "--one"]
            command += ["--memory", options.memory]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        r = json.loads(out.splitlines()[-1])
        print(
            f"| {r['images']:,} | {r['decoded_gib']:.2f} | {r['early_mib']:.0f} | "
            f"{r['peak_mib']:.0f} | {r['rate']:.0f} | {r['waiting']:.0%} | {r['bare']:.0f} | "
            f"{r['rate'] / r['bare']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
