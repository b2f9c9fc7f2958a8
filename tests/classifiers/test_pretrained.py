import hashlib
import json
import os
import re
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import traverse_util

from jaxloop import classifiers
from jaxloop.classifiers import pretrained, torch_names
from jaxloop.errors import InputError
from jaxloop.weights import hub, state_dict
from tests.classifiers import oracles

NAME, CLASSES = "mobilenet_v3_small", 7


def shapes(
    name: str,
    num_classes: int = CLASSES,
    side: int = 224,
    stem: str = "imagenet",
    width: float = 1.0,
):
    """The variables that the module's init gives, as shapes."""
    module = classifiers.create(name, num_classes, stem, width)
    images = jnp.zeros((1, side, side, 3))
    return jax.eval_shape(lambda: module.init(jax.random.key(0), images, train=False))


def published(name: str, **options) -> dict[str, np.ndarray]:
    """A state dict of random numbers by torch's names, made without torch."""
    variables = traverse_util.flatten_dict(shapes(name, **options), sep="/")
    random, state = np.random.default_rng(0), {}
    for path, key in torch_names.keys(torch_names.LAYERS[name], variables).items():
        low = 0.5 if key.endswith("running_var") else -0.5
        shape = state_dict.torch_shape(path, variables[path].shape)
        state[key] = random.uniform(low, 1, shape).astype(np.float32)
    return state


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """in.safetensors with a published state dict, and out.safetensors converted from it."""
    folder = tmp_path_factory.mktemp("pretrained")
    safetensors.numpy.save_file(published(NAME), folder / "in.safetensors")
    assert (
        pretrained.main(
            ["convert", NAME, str(folder / "in.safetensors"), str(folder / "out.safetensors")]
        )
        == 0
    )
    return folder


@pytest.fixture(scope="module")
def weights(folder) -> pretrained.Weights:
    return pretrained.read(folder / "out.safetensors")


def changed(folder, path, told=None, drop=(), **tensors) -> str:
    """A copy of out.safetensors with other metadata, or other tensors."""
    with safetensors.safe_open(folder / "out.safetensors", "np") as file:
        metadata, everything = file.metadata(), file.get_tensors()
    everything = {name: x for name, x in (everything | tensors).items() if name not in drop}
    if told is not None:
        metadata = {"jaxloop": json.dumps(json.loads(metadata["jaxloop"]) | told)}
    safetensors.numpy.save_file(everything, path, metadata)
    return str(path)


# Converting, and reading what was converted


def test_the_variables_come_back_and_compute_the_same(folder, weights):
    converted = torch_names.convert(NAME, published(NAME))
    jax.tree.map(np.testing.assert_array_equal, weights.variables, converted)
    apply = jax.jit(partial(classifiers.create(NAME, CLASSES).apply, train=False))
    images = np.random.default_rng(1).normal(size=(2, 40, 40, 3)).astype(np.float32)
    logits = apply(weights.variables, images)
    assert np.isfinite(logits).all() and np.ptp(logits) > 0
    np.testing.assert_array_equal(logits, apply(converted, images))


def test_a_file_says_what_it_is(folder, weights):
    published_bytes = (folder / "in.safetensors").read_bytes()
    assert weights._replace(variables=None) == pretrained.Weights(
        path=str(folder / "out.safetensors"),
        architecture=NAME,
        num_classes=CLASSES,
        source="in.safetensors",
        sha256=hashlib.sha256(published_bytes).hexdigest(),
        variables=None,
    )


def test_the_same_source_gives_the_same_bytes(folder):
    before = (folder / "out.safetensors").read_bytes()
    pretrained.convert(NAME, folder / "in.safetensors", folder / "again.safetensors")
    pretrained.convert(
        NAME, folder / "in.safetensors", folder / "again.safetensors"
    )  # replaced without a word
    assert (folder / "again.safetensors").read_bytes() == before
    assert {path.suffix for path in folder.iterdir()} == {
        ".safetensors"
    }  # nothing temporary is left


def test_a_write_that_fails_leaves_nothing(folder, weights, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk is full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match="OUT=.*disk is full"):
        pretrained.convert(NAME, folder / "in.safetensors", tmp_path / "out.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s.pop("features.4.block.1.0.weight"),
            "features.4.block.1.0.weight is missing; .* it holds: ",
        ),
        (
            lambda s: s.update({"features.0.0.weight": np.zeros((16, 3, 5, 5))}),
            r"features.0.0.weight has shape .*5, 5\), not",
        ),
        (
            lambda s: s.update({"features.99.weight": np.zeros(3)}),
            "features.99.weight is none of its tensors",
        ),
    ],
)
def test_a_state_dict_of_another_network_is_refused(tmp_path, change, message, folder):
    state = safetensors.numpy.load_file(folder / "in.safetensors")
    change(state)
    source = tmp_path / "in.safetensors"
    safetensors.numpy.save_file(state, source)
    with pytest.raises(
        InputError, match=rf"IN='{source}' is refused; allowed: weights of {NAME}; {message}"
    ):
        pretrained.convert(NAME, source, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_a_deit_of_another_image_size_is_refused(tmp_path):
    state = {key: np.zeros_like(x) for key, x in published("deit_small", side=96).items()}
    safetensors.numpy.save_file(state, tmp_path / "in.safetensors")
    with pytest.raises(
        InputError, match=r"params/position has shape \(1, 37, 384\), not \(1, 197, 384\)"
    ):
        pretrained.convert("deit_small", tmp_path / "in.safetensors", tmp_path / "out.safetensors")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "the command line=.*required: COMMAND"),
        (["convert", NAME, "a.pth"], "the command line=.*required: OUT"),
        (
            ["convert", "lenet", "a.pth", "b.safetensors"],
            "NAME='lenet' is refused; allowed: one of alexnet, .*deit_small",
        ),
        (["convert", NAME, "a.safetensors", "b.npz"], "OUT='b.npz' is refused"),
        (["convert", NAME, "a.safetensors", "./a.safetensors"], "OUT='a.safetensors' is refused"),
        (
            ["convert", NAME, "a.safetensors", "b.safetensors"],
            "IN='a.safetensors' is refused; .*No such file",
        ),
        (
            ["convert", NAME, "in.safetensors", "nowhere/b.safetensors"],
            "OUT='nowhere/b.safetensors' .*written",
        ),
    ],
)
def test_the_command_refuses_in_one_line(folder, monkeypatch, capsys, arguments, line):
    monkeypatch.chdir(folder)
    assert pretrained.main(arguments) == 2
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1
    assert re.match(f"jaxloop: {line}", err)


def test_the_command_as_a_person_runs_it(folder):
    command = [sys.executable, "-m", "jaxloop.classifiers.pretrained", "convert", NAME]
    run = partial(subprocess.run, cwd=folder, capture_output=True, text=True)
    done = run([*command, "in.safetensors", "by_command.safetensors"])
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith(
        f"{NAME}, {CLASSES} classes, from in.safe"
    )
    assert (folder / "by_command.safetensors").read_bytes() == (
        folder / "out.safetensors"
    ).read_bytes()
    refused = run([*command, "in.pth", "by_command.safetensors"])
    assert refused.returncode == 2 and refused.stdout == ""
    assert (
        refused.stderr.startswith("jaxloop: IN='in.pth' is refused")
        and refused.stderr.count("\n") == 1
    )


# Files that torch wrote


def test_a_torch_file_converts_as_its_tensors_do(folder, weights, tmp_path):
    torch = pytest.importorskip("torch")
    state = safetensors.numpy.load_file(folder / "in.safetensors")
    torch.save({key: torch.from_numpy(x) for key, x in state.items()}, tmp_path / "in.pth")
    read = pretrained.convert(NAME, tmp_path / "in.pth", tmp_path / "out.safetensors")
    jax.tree.map(np.testing.assert_array_equal, read.variables, weights.variables)


def test_without_torch_a_person_is_told_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"pip install 'jaxloop-experiments\[convert\]'"):
        pretrained.convert(NAME, tmp_path / "in.pth", tmp_path / "out.safetensors")


# What is not a converted file


def test_broken_files_are_refused(folder, tmp_path):
    path = tmp_path / "broken.safetensors"
    whole = (folder / "out.safetensors").read_bytes()
    for content in (whole[:-4], whole[: len(whole) // 2], whole[:100], b"junk" * 100, b""):
        path.write_bytes(content)
        with pytest.raises(
            InputError, match=r"broken.safetensors' is refused; allowed: a whole .safetensors file"
        ):
            pretrained.read(path)
    with pytest.raises(InputError, match=r"nowhere.safetensors' is refused.*No such file"):
        pretrained.read(tmp_path / "nowhere.safetensors")
    with pytest.raises(InputError, match=r"in.pth' is refused; allowed: a file made by .*convert"):
        pretrained.read("in.pth")
    with pytest.raises(
        InputError, match=r"in.safetensors' is refused; .*does not say of what network"
    ):
        pretrained.read(folder / "in.safetensors")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "jaxloop-classifier/2"),
        ("architecture", "lenet"),
        ("architecture", ["resnet50"]),
        ("num_classes", 0),
        ("num_classes", "7"),
        ("num_classes", True),
        ("source", None),
        ("sha256", "abc"),
    ],
)
def test_metadata_is_checked(folder, tmp_path, field, value):
    path = changed(folder, tmp_path / "other.safetensors", told={field: value})
    with pytest.raises(InputError) as caught:
        pretrained.read(path)
    assert caught.value.field == "config.classifier.pretrained" and caught.value.value == path
    assert caught.value.allowed.endswith(f"it has {field} {value!r}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"drop": ["params/head/bias"]}, "params/head/bias is missing"),
        (
            {"params/hidden/bias": np.zeros(3, np.float32)},
            r"params/hidden/bias has shape \(3,\), not \(1024,\)",
        ),
        ({"params/more": np.zeros(3, np.float32)}, "params/more is none of its tensors"),
        ({"told": {"num_classes": 8}}, r"params/head/bias has shape \(7,\), not \(8,\)"),
        ({"told": {"architecture": "resnet50"}}, "resnet50 for 7 classes; .* is missing"),
    ],
)
def test_tensors_are_checked(folder, tmp_path, change, message):
    path = changed(folder, tmp_path / "other.safetensors", **change)
    with pytest.raises(InputError, match=message):
        pretrained.read(path)


# Starting from weights


def test_start_takes_all_but_the_head(weights):
    random = np.random.default_rng(1)
    init = jax.tree.map(lambda x: random.normal(size=x.shape).astype(np.float32), shapes(NAME, 3))
    started = pretrained.start(init, weights)
    assert jax.tree.map(jnp.shape, started) == jax.tree.map(jnp.shape, init)
    for path, x in traverse_util.flatten_dict(started).items():
        origin = init if path[:2] == ("params", "head") else weights.variables
        np.testing.assert_array_equal(x, traverse_util.flatten_dict(origin)[path])


def test_start_leaves_the_head_also_where_the_classes_are_as_many(weights):
    zeros = jax.tree.map(np.zeros_like, weights.variables)
    head = pretrained.start(zeros, weights)["params"]["head"]
    assert (
        head["kernel"].shape == (1024, CLASSES)
        and not np.any(head["kernel"])
        and not np.any(head["bias"])
    )


@pytest.mark.parametrize("name", torch_names.NAMES)
def test_the_head_is_what_depends_on_the_number_of_classes(name):
    few, many = (traverse_util.flatten_dict(shapes(name, n)) for n in (3, 1000))
    half = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, jnp.float16), shapes(name, 3)
    )  # tells who is who
    weights = pretrained.Weights("a", name, 1000, "", "", None)
    start = lambda init, variables: pretrained.start(init, weights._replace(variables=variables))  # noqa: E731
    started = traverse_util.flatten_dict(jax.eval_shape(start, half, shapes(name, 1000)))
    kept = {path for path, x in started.items() if x.dtype == jnp.float16}
    assert kept == {path for path in few if few[path].shape != many[path].shape} and len(kept) == 2


def test_start_can_be_traced(weights):
    def started(key, variables):
        init = classifiers.create(NAME, 3).init(key, jnp.zeros((1, 32, 32, 3)), train=False)
        return pretrained.start(init, weights._replace(variables=variables))

    traced = jax.eval_shape(
        jax.vmap(started, (0, None)), jax.random.split(jax.random.key(0), 2), weights.variables
    )
    assert traced["params"]["head"]["kernel"].shape == (2, 1024, 3)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"name": NAME, "width": 0.5}, r"/bn/mean has shape \(.*\), not \(.*\)"),
        ({"name": "mobilenet_v3_large"}, "has shape"),
        ({"name": "alexnet"}, "params/Conv_0/.* is missing"),
        ({"name": "lenet"}, "is missing"),
    ],
)
def test_start_refuses_another_network(weights, other, message):
    with pytest.raises(
        InputError, match=f"config.classifier.pretrained='{weights.path}' .*{NAME}'s.*{message}"
    ):
        pretrained.start(shapes(**other), weights)


@pytest.mark.parametrize("side", [64, 224, 288])
def test_position_embedding_is_resized_as_timm_does(side):
    torch, _, timm = oracles.libraries()
    position = np.random.default_rng(0).normal(size=(1, 197, 384)).astype(np.float32)
    variables = jax.tree.map(
        lambda x: np.broadcast_to(np.float32(0), x.shape), shapes("deit_small")
    )
    variables["params"]["position"] = position
    weights = pretrained.Weights("deit.safetensors", "deit_small", CLASSES, "", "", variables)
    ours = np.asarray(
        pretrained.start(shapes("deit_small", 3, side), weights)["params"]["position"]
    )
    theirs = timm.layers.resample_abs_pos_embed(
        torch.from_numpy(position), [side // 16] * 2
    ).numpy()
    np.testing.assert_array_equal(ours[:, 0], position[:, 0])
    # Sums of at most a hundred products of order 1, in float32: 2e-6 at most was measured.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


# One file for each classifier of a run


@pytest.fixture
def no_hub(monkeypatch):
    def fail(name, *_):
        raise AssertionError(f"{name} was fetched")

    monkeypatch.setattr(hub, "fetch", fail)


def test_no_weights_are_asked_for():
    assert pretrained.for_classifiers((), ("lenet", "alexnet"), "small", 0.5) == {}


def test_each_classifier_finds_its_file(folder, weights):
    path = str(folder / "out.safetensors")
    found = pretrained.for_classifiers((path,), (NAME,), "imagenet", 1.0)
    assert (
        list(found) == [NAME] and found[NAME].sha256 == weights.sha256 and found[NAME].path == path
    )


@pytest.mark.parametrize(
    ("paths", "names", "more", "message"),
    [
        (
            ["out"],
            [NAME],
            {"stem": "small"},
            "config.classifier.stem='small' is refused; allowed: imagenet",
        ),
        (["out"], [NAME], {"width": 0.5}, "config.classifier.width=0.5 is refused; allowed: 1"),
        (["out"], ["lenet", NAME], {}, "config.classifiers without lenet"),
        (["out"], [NAME, "vgg19"], {}, "one file for each of config.classifiers; vgg19 has none"),
        (
            ["out"],
            ["vgg19", "alexnet"],
            {},
            f"out.safetensors' .*weights of vgg19, alexnet; these are of {NAME}",
        ),
        (["out", "copy"], [NAME], {}, f"copy.safetensors' .*out.safetensors is of {NAME} as well"),
        (
            ["timm/resnet50.tv_in1k", "timm/resnet50.a1_in1k"],
            ["resnet50"],
            {},
            "one file a classifier",
        ),
        (["timm/resnet50.tv_in1k"], ["resnet50", "vgg19"], {}, "vgg19 has none"),
        (["nowhere"], [NAME], {}, "nowhere.safetensors' is refused; .*No such file"),
        (["timm/resnet18.tv_in1k"], [NAME], {}, "timm/resnet18.tv_in1k' is refused; .*resnet50"),
    ],
)
def test_for_classifiers_refuses_before_anything_is_fetched(
    folder, no_hub, paths, names, more, message
):
    (folder / "copy.safetensors").write_bytes((folder / "out.safetensors").read_bytes())
    paths = [path if "/" in path else str(folder / f"{path}.safetensors") for path in paths]
    with pytest.raises(InputError, match=message):
        pretrained.for_classifiers(paths, names, **{"stem": "imagenet", "width": 1.0} | more)
