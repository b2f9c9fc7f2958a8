"""Runs an experiment and its arms in a folder, a cohort of seeds after the other, to the report."""

import contextlib
import dataclasses
import sys
from pathlib import Path

from jaxloop import evaluators, files
from jaxloop.analysis import answers, run_folder
from jaxloop.errors import InputError, Waiting
from jaxloop.loop import advance, arms, stages
from jaxloop.loop.experiment import Experiment, Stage
from jaxloop.provenance import store
from jaxloop.report import page
from jaxloop.run import build, plan, tensorboard, workdir, writers
from jaxloop.run.interruption import SignalFlag
from jaxloop.run.player import Player, Run
from jaxloop.spec import Answer, Spec


def run(spec: Spec, path: Path, profile: bool = False) -> None:
    """Run an experiment in the folder `path`, or go on with the one that is there, to its report.

    Seeds that the folder does not have yet are a cohort of their own: those that are there stay as
    they are. With `answer.width`, seeds are added one at a time.

    Args:
      profile: also write a JAX trace of a chunk of each stage into profile/.

    Raises:
      InputError: before any work starts, or where votes.jsonl cannot be read; a model that fails is
        recorded, and the run goes on.
      Waiting: people must vote before it can go on. All that can be done without them is done.
      Interrupted: a signal came; the state is saved.
    """
    experiment, description = build.build(spec)
    built = stages.build(experiment)
    advance.initial(experiment, built)  # MemoryError: before there is a folder
    events = tensorboard.Writer(path) if spec.tensorboard else None
    folders = [path / store.ARMS / name for name in spec.arms]
    with contextlib.ExitStack() as locks, SignalFlag() as flag:
        locks.enter_context(workdir.claim(path))
        workdir.plan(path, spec, description)  # what is refused leaves no folder of an arm
        for folder in folders:
            locks.enter_context(workdir.claim(folder))
        if not (path / "config.json").exists():
            for note in description["data"]["notes"]:
                print(f"jaxloop: {note}", file=sys.stderr)

        def play(main: Run) -> Waiting | None:
            return _play(main, description, flag, events, profile)

        main = _run(path, experiment, built=built)
        cohorts = _describe(main, description, spec.seeds)
        writers.write_real(experiment, path)
        writers.write_ablated(experiment, path)
        waits = [play(_of_seeds(main, cohorts, seeds)) for seeds in cohorts]
        waiting = next(filter(None, waits), None)
        while waiting is None and spec.answer.width:
            seed = _seed_to_add(spec.answer, run_folder.load(path))
            if seed is None:
                break
            cohorts = _describe(main, description, (seed,))
            waiting = play(_of_seeds(main, cohorts, cohorts[-1]))
        for folder in folders:
            page.write(folder)
        print(page.summary(page.write(path)))
        print(f"\nreport: {path / 'report.html'}", flush=True)
    if waiting:
        raise waiting


def dry_run(spec: Spec, path: Path) -> None:
    """Print what `run` would do there, and what it needs of each device."""
    if path.exists() and not path.is_dir():
        raise InputError("--workdir", str(path), "a folder")
    experiment, description = build.build(spec, dry=True)
    if path.exists():
        workdir.plan(path, spec, description)
    for line in plan.lines(experiment):
        files.say(line)
    files.say(f"workdir: {path}{', which is there: the run goes on' if path.exists() else ''}")


def _describe(main: Run, description: dict, seeds: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Write config.json of a run and its arms, or check them -> the cohorts of seeds.

    Arms first: a run whose arms lack a seed cannot be read.
    """
    spec = dataclasses.replace(main.experiment.spec, seeds=seeds)
    for name in spec.arms:
        changed, described = build.arm(name, main.experiment._replace(spec=spec), description)
        workdir.describe(main.path / store.ARMS / name, changed.spec, described)
    return workdir.describe(main.path, spec, description)


def _play(main: Run, description: dict, flag: SignalFlag, events, profile: bool) -> Waiting | None:
    """Play a cohort in the run and its arms; return why it waits for people, if it does."""
    experiment = main.experiment
    others = [
        _arm(name, main.path / store.ARMS / name, build.arm(name, experiment, description)[0], main)
        for name in experiment.spec.arms
    ]
    waiting = Player(main, flag, events, tuple(others), profile=profile).play()
    if waiting and others:  # people may vote in the meantime
        print(f"jaxloop: {waiting}\nThe other arms go on now.", file=sys.stderr)
    for arm in others:
        Player(arm, flag).play()
    return waiting


def _run(path: Path, experiment: Experiment, name: str = "", built: tuple[Stage, ...] = ()) -> Run:
    """built: stages of this experiment, where there are some."""
    built = built or stages.build(experiment)
    return Run(path, experiment, built, evaluators.create(experiment), name)


def _arm(name: str, path: Path, experiment: Experiment, main: Run) -> Run:
    """Return an arm: only what reads what it replaces is compiled anew."""
    shared = arms.ARMS[name].shared(main.experiment.spec)
    compiled = {s.name: s for s in main.stages if s.name.partition("/")[0] in shared}
    arm = _run(path, experiment, name)
    return arm._replace(stages=tuple(compiled.get(stage.name, stage) for stage in arm.stages))


# Seeds that come later


def _of_seeds(run: Run, cohorts: list[tuple[int, ...]], seeds: tuple[int, ...]) -> Run:
    """Return the run of one of its cohorts.

    Only where the devices are laid out otherwise for it is anything compiled anew.
    """
    spec = dataclasses.replace(run.experiment.spec, seeds=sum(cohorts, ()))
    before = run.experiment
    experiment = build.of_seeds(before, seeds)._replace(spec=spec)
    if seeds == before.seeds.values:
        return run._replace(experiment=experiment)
    built = run.stages if experiment.seeds.mesh == before.seeds.mesh else stages.build(experiment)
    made = evaluators.create(experiment)  # these keep what they have worked out of their seeds
    return run._replace(experiment=experiment, stages=built, evaluators=made)


def _seed_to_add(answer: Answer, run: run_folder.Run) -> int | None:
    """Return the seed that `answer.width` asks for beside those of the run; None: enough.

    Only how wide the interval is decides, never what it says.
    """
    now = answers.width(run)
    narrow = now is not None and now <= answer.width
    if narrow or len(run.seeds) >= answer.max_seeds:
        return None
    seed = next(seed for seed in range(len(run.seeds) + 1) if seed not in run.seeds)
    has = "has no interval yet" if now is None else f"is {now:.3f} wide"
    print(
        f"jaxloop: the answer {has} with {len(run.seeds)} seeds, answer.width is {answer.width:g}: "
        f"seed {seed} is added",
        file=sys.stderr,
    )
    return seed
