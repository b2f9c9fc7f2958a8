"""Bad configurations, files and flags: exit code 2 and one line that names what is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import OF_COMMANDS
from tests.test_main import DIGITS, refused

ROOT = Path(__file__).parents[2]
REFUSED = [
    (
        ["--config.loop.generation=3"],
        ["config.loop.generation=", "'3'", "did you mean loop.generations"],
    ),
    (["--config.nothing=3"], ["config.nothing", "--help lists"]),
    (["--config.loop.generations=ten"], ["config.loop.generations", "'ten'", "an integer >= 0"]),
    (["--config.loop.generations=-1"], ["config.loop.generations", "-1", "an integer >= 0"]),
    (["--config.seeds=a,b"], ["config.seeds", "integers"]),
    (["--config.filter.drop=1.5"], ["config.filter.drop", "1.5", "[0, 0.99]"]),
    (["--config.tensorboard=7"], ["config.tensorboard", "'7'", "boolean"]),
    (
        ["--config.data.name=mnistt"],
        ["config.data.name", "'mnistt'", "digits, mnist, cifar, folder"],
    ),
    (
        ["--config.classifiers=lenet,resnet"],
        ["config.classifiers", "'resnet'", "lenet, alexnet, vgg19, resnet50"],
    ),
    (["--config.classifier.stem=large"], ["config.classifier.stem", "'large'", "small, imagenet"]),
    (
        ["--config.classifiers=alexnet", "--config.classifier.stem=imagenet"],
        ["config.data.image_size", "at least 63 for alexnet"],
    ),
    (
        ["--config.classifiers=deit_small", "--config.classifier.image_size=30"],
        ["config.classifier.image_size", "30", "a multiple of 4, at least 4 for deit_small"],
    ),
    (
        ["--config.classifier.augment=crop_flip"],
        ["config.classifier.augment", "'crop_flip'", "none, crop for the data set digits"],
    ),
    (
        ["--config.filter.name=mc_dropout"],
        ["config.filter.name", "lenet", "alexnet, vgg19, mobilenet_v3_large"],
    ),
    (
        ["--config.classifier.pretrained=no.safetensors"],
        ["config.classifier.stem", "'small'", "imagenet"],
    ),
    (
        [
            "--config.classifier.pretrained=no.safetensors",
            "--config.classifier.stem=imagenet",
            "--config.classifiers=resnet50",
            "--config.classifier.width=1.0",
        ],
        ["config.classifier.pretrained", "no.safetensors", "file"],
    ),
    (
        ["--config.measure.fid=True"],
        ["config.measure.inception", "''", "pt_inception-2015", "features.inception convert"],
    ),
    (
        ["--config.measure.fid=True", "--config.measure.inception=no.safetensors"],
        ["config.measure.inception", "no.safetensors", "download https://"],
    ),
    (
        ["--config.measure.inception=no.safetensors"],
        ["config.measure.inception", "measure.fid is True"],
    ),
    (
        ["--config.measure.clip=no/such/folder"],
        ["config.measure.clip", "no/such/folder", "a folder that exists"],
    ),
    (["--config.measure.bootstrap=5"], ["config.measure.bootstrap", "5", "[100, 100000]"]),
    (["--config.generator.name=vae"], ["config.generator.name", "'vae'", "dcgan"]),
    (
        ["--config.filter.name=clipp"],
        ["config.filter.name", "'clipp'", "uncertainty, mc_dropout, clip, human"],
    ),
    (["--config.filter.name=clip_uncertainty"], ["config.filter.clip", "''", "hub name"]),
    (["--config.filter.control=True"], ["config.filter.control", "--config.arms=no_loop,random"]),
    (
        ["--config.filter.name=none", "--config.arms=random"],
        ["config.arms", "'random'", "filter.name is none"],
    ),
    (["--config.arms=no_lop"], ["config.arms", "'no_lop'", "no_loop, random"]),
    (["--config.generator.depth=2"], ["config.generator.depth", "'2'"]),
    (["--config.generator.guidance=2"], ["config.generator.guidance=2.0", "dcgan"]),
    (["--config.loop.fresh=0.5"], ["config.loop.fresh", "0.5", "loop.real is fresh"]),
    (["--workdir= "], ["--workdir", "name of a folder"]),
    (["--config.filter.classifier=vgg"], ["config.filter.classifier", "'vgg'", "one of lenet"]),
    (
        ["--config.generator.batch_size=5000"],
        ["config.generator.batch_size", "5000", "at most the 1293 images"],
    ),
    (
        ["--config.classifier.batch_size=5000"],
        ["config.classifier.batch_size", "5000", "at most the 1293"],
    ),
    (["--config.data.image_size=17"], ["config.data.image_size", "17", "dcgan"]),
    (["--config.data.image_size=10"], ["config.data.image_size", "10", "at least 12 for lenet"]),
    (["--config.data.color=((1.0,0.0,0.0),)"], ["config.data.color", "10 rows"]),
    (["--config.data.color=((0.5,0.0,0.0),)"], ["config.data.color", "sum to 1"]),
    (
        ["--config.data.name=mnist", "--config.data.path=/no/such/folder"],
        ["config.data.path", "/no/such/folder"],
    ),
    (["--nonsense=3"], ["nonsense", "--help"]),
    (["stray"], ["'stray'", "--help"]),
    (["--config.seeds=(0,0)"], ["config.seeds"]),
    (["--config.seeds=()"], ["config.seeds"]),
    (["--config.seeds=(-1,)"], ["config.seeds", "-1"]),
    (["--config.seeds=(1.5,)"], ["config.seeds", "1.5"]),
    (["--config.classifiers=()"], ["config.classifiers"]),
    (["--config.classifiers=('lenet','lenet')"], ["config.classifiers", "lenet"]),
    (["--config.classifier.width=nan"], ["config.classifier.width", "nan"]),
    (["--config.classifier.width=0"], ["config.classifier.width", "0"]),
    (["--config.classifier.epochs=1e9"], ["config.classifier.epochs", "1e9"]),
    (["--config.classifier.epochs=99999999999999999999"], ["config.classifier.epochs"]),
    (["--config.classifier.schedule=linear"], ["config.classifier.schedule", "'linear'"]),
    (["--config.classifier.augment=flip"], ["config.classifier.augment", "'flip'"]),
    (["--config.classifier.label_smoothing=1"], ["config.classifier.label_smoothing", "1"]),
    (["--config.classifier.trained=head"], ["config.classifier"]),
    (["--config.classifier.pretrained=/no/such"], ["config.classifier"]),
    (["--config.loop.mix=0"], ["config.loop.mix", "0"]),
    (["--config.loop.mix=-1"], ["config.loop.mix", "-1"]),
    (["--config.loop.mix=inf"], ["config.loop.mix", "inf"]),
    (["--config.loop.mix="], ["config.loop.mix"]),
    (["--config.loop.mix"], ["config.loop.mix"]),
    (["--config.loop.mix=0.3", "--config.loop.mix=x"], ["config.loop.mix", "'x'"]),
    (["--config.loop=3"], ["config.loop"]),
    (["--config.loop.capacity=0"], ["config.loop.capacity", "0"]),
    (["--config.filter.drop=1"], ["config.filter.drop", "1"]),
    (["--config.filter.drop=0.9999999"], ["config.filter.drop", "0.9999999"]),
    (["--config.generator.learning_rate=-1"], ["config.generator.learning_rate", "-1"]),
    (["--config.generator.learning_rate=nan"], ["config.generator.learning_rate", "nan"]),
    (["--config.generator.width=1000000"], ["too little memory", "GiB"]),
    (["--config.generator.name=stable_diffusion"], ["config.generator"]),
    (["--config.devices.seeds=both"], ["config.devices.seeds", "'both'"]),
    (["--config.devices.dtype=float16"], ["config.devices.dtype", "'float16'"]),
    (["--config.data.path=/tmp"], ["config.data"]),
    (["--config.data.validation=0.9"], ["config.data.validation", "0.9"]),
    (["--config.data.memory=ram"], ["config.data.memory", "'ram'", "decoded"]),
    (["--config.data.memory=disk"], ["config.data.memory", "'disk'", "read whole"]),
    (["--config.data.partial=True"], ["config.data.partial"]),
    (["--config.data.name=living17"], ["config.data"]),
    (["--config.data.name=living17", "--config.data.path=/dev"], ["config.data"]),
    (["--config.data.name=hard_imagenet", "--config.data.path=/etc/passwd"], ["config.data"]),
    (["--config.data.name=cifar", "--config.data.path=/dev"], ["config.data"]),
    (["--config.data.name=folder", "--config.data.path=/etc/passwd"], ["config.data"]),
    (["--config.filter.name=human", "--config.loop.images=False"], ["config."]),
    (["--config.measure.images=0"], ["config.measure.images", "0"]),
    (["--config.measure.judge=lenet"], ["config.measure.judge", "pixels tell"]),
    (["--config.answer.width=-1"], ["config.answer.width", "-1"]),
    (["--config.answer.min_agreement=2"], ["config.answer.min_agreement", "2"]),
    (["--config.checkpoint.every_seconds=-1"], ["config.checkpoint.every_seconds", "-1"]),
    (["--config.tensorboard=maybe"], ["config.tensorboard", "'maybe'"]),
    (["--dry_run=perhaps"], ["dry_run"]),
    (["--dry_run", "--workdir=/etc/passwd"], ["--workdir", "/etc/passwd", "a folder"]),
    (["--flagfile=missing"], ["Unable to open flagfile", "missing"]),
    (["--config=PIPE"], ["--config", "a regular file"]),
    (["--config=/dev/null"], ["--config", "/dev/null", "a regular file"]),
    (["--config=NONE"], ["--config", "a file whose get_config returns a configuration"]),
    (["--config=NUMBER"], ["--config", "a file whose get_config returns a configuration"]),
    (["--config=IMPORT"], ["--config", "No module named"]),
    (["--config=BYTES"], ["--config", "a file that runs"]),
    (["--config=NOTHING"], ["--config", "get_config"]),
    (["--config=NOTHING", "--config=NOTHING"], ["--config", "one of them"]),
]
# Files that --config names: what they hold.
FILES = {
    "NONE": b"def get_config(): return None",
    "NUMBER": b"def get_config(): return 3",
    "IMPORT": b"import no_such_module",
    "BYTES": b"\xff\xfe",
    "NOTHING": b"x = 1",
}
# Every command is a process of its own, forked from one that has imported the program.
FORKS = """
import json, os, sys
from jaxloop import main
from jaxloop.run import driver
for arguments, error in json.load(sys.stdin):
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        continue
    os.dup2(os.open(error, os.O_WRONLY | os.O_CREAT), 2)
    sys.argv[1:] = arguments
    os._exit(main.main())
"""


def of_digits(arguments: list[str]) -> list[str]:
    own = sum(one.startswith("--config=") for one in arguments)
    return [] if own == 1 else [DIGITS]


def placed(arguments: list[str], folder: Path) -> list[str]:
    """Return the arguments with the files of FILES in a folder."""
    pairs = [one.partition("=") for one in arguments]
    return [
        f"{flag}={folder / value}" if value in ("PIPE", *FILES) else flag + equals + value
        for flag, equals, value in pairs
    ]


@pytest.fixture(scope="module")
def refusals(tmp_path_factory) -> list[tuple[Path, SimpleNamespace]]:
    """Return (workdir, exit code and stderr) of each command of REFUSED."""
    folder = tmp_path_factory.mktemp("refused")
    os.mkfifo(folder / "PIPE")
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    places = [(folder / f"w{i}", folder / f"error{i}") for i in range(len(REFUSED))]
    commands = [  # --config of digits, where they have none of their own
        ([*of_digits(arguments), f"--workdir={workdir}", *placed(arguments, folder)], str(error))
        for (workdir, error), (arguments, _) in zip(places, REFUSED, strict=True)
    ]
    done = subprocess.run(
        [sys.executable, "-c", FORKS], input=json.dumps(commands), cwd=ROOT, env=OF_COMMANDS,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    codes = map(int, done.stdout.split())
    results = [
        SimpleNamespace(returncode=code, stderr=error.read_text())
        for (_, error), code in zip(places, codes, strict=True)
    ]
    return [(workdir, result) for (workdir, _), result in zip(places, results, strict=True)]


@pytest.mark.parametrize("number", range(len(REFUSED)), ids=lambda i: " ".join(REFUSED[i][0]))
def test_refused_in_one_line(refusals, number):
    workdir, done = refusals[number]
    line = refused(done)
    assert all(word in line for word in REFUSED[number][1]), line
    assert not workdir.exists()  # before any work started
