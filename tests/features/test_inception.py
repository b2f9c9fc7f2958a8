import hashlib
import re
import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import traverse_util
from PIL import Image

from jaxloop.errors import InputError
from jaxloop.features import inception
from jaxloop.features.inception_network import DIM, SIDE, InceptionV3
from jaxloop.metrics.frechet import frechet_distance
from jaxloop.weights import files, state_dict
from tests.classifiers.oracles import libraries

FIELD = "config.measure.inception"


def pictures(n: int, h: int, w: int, contrast: float = 1.0) -> np.ndarray:
    """Blocks of random colour."""
    random = np.random.default_rng(n * h * w)
    blocks = (
        random.integers(0, 256, (n, -(-h // 8), -(-w // 8), 3)).repeat(8, 1).repeat(8, 2)[:, :h, :w]
    )
    return (contrast * blocks + random.integers(0, 30, (n, h, w, 3))).clip(0, 255).astype(np.uint8)


def refused(message: str, field: str = FIELD):
    return pytest.raises(InputError, match=f"^{field}='[^\n]*' is refused; [^\n]*{message}[^\n]*$")


# Converting, and reading what was converted


@pytest.fixture(scope="module")
def state() -> dict[str, np.ndarray]:
    """A state dict as published, of random numbers, made without torch; with what is left out."""
    random, state = np.random.default_rng(0), {}
    for path, leaf in traverse_util.flatten_dict(inception.shapes(), sep="/").items():
        shape = state_dict.torch_shape(path, leaf.shape)
        state[state_dict.key(path.partition("/")[2])] = random.random(shape, np.float32)
    state |= {"fc.weight": np.zeros((1008, DIM), np.float32), "fc.bias": np.zeros(1008, np.float32)}
    return state | {
        "AuxLogits.conv0.conv.weight": np.zeros(3),
        "Conv2d_1a_3x3.bn.num_batches_tracked": np.zeros(()),
    }


def test_the_weights_come_back(state, tmp_path, capsys):
    source, target = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    safetensors.numpy.save_file(state, source)
    assert inception.main(["convert", str(source), str(target)]) == 0
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    assert (
        f"from in.safetensors, sha256 {sha256}, other weights than the published"
        in capsys.readouterr().out
    )
    network = inception.load(target, "clean")
    assert (network.name, network.dim, network.resize, network.sha256) == (
        "inception",
        DIM,
        "clean",
        sha256,
    )
    assert network.apply.args == ("clean",)
    params, statistics = (network.variables[name] for name in ("params", "batch_stats"))
    np.testing.assert_array_equal(
        params["Conv2d_1a_3x3"]["conv"]["kernel"],
        state["Conv2d_1a_3x3.conv.weight"].transpose(2, 3, 1, 0),
    )
    np.testing.assert_array_equal(
        params["Mixed_7c"]["branch_pool"]["bn"]["bias"], state["Mixed_7c.branch_pool.bn.bias"]
    )
    np.testing.assert_array_equal(
        statistics["Mixed_6e"]["branch7x7dbl_5"]["bn"]["var"],
        state["Mixed_6e.branch7x7dbl_5.bn.running_var"],
    )
    assert "fc" not in params and "AuxLogits" not in params
    assert sum(x.size for x in jax.tree.leaves(network.variables)) == 21_820_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s.pop("Mixed_6e.branch7x7_2.bn.running_var"),
            "Mixed_6e.branch7x7_2.bn.running_var is missing",
        ),
        (lambda s: s.pop("fc.weight"), "fc.weight is missing"),
        (
            lambda s: s.update({"Mixed_5b.branch5x5_2.conv.weight": np.zeros((64, 48, 3, 3))}),
            r"Mixed_5b.branch5x5_2.conv.weight has shape \(64, 48, 3, 3\), not \(64, 48, 5, 5\)",
        ),
        # torchvision's network, which has other weights
        (
            lambda s: s.update({"fc.weight": np.zeros((1000, DIM))}),
            r"fc.weight has shape \(1000, 2048\)",
        ),
        (
            lambda s: s.update({"features.0.weight": np.zeros(3)}),
            "features.0.weight is none of its tensors",
        ),
    ],
)
def test_other_tensors_are_refused(state, tmp_path, monkeypatch, change, message):
    changed = dict(state)
    change(changed)
    monkeypatch.setattr(state_dict, "read", lambda source: changed)
    with refused(f"weights of this Inception-V3; {message}", "IN"):
        inception.convert(tmp_path / "in.safetensors", tmp_path / "out.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "the command line=.*required: COMMAND"),
        (["convert", "in.pth"], "the command line=.*required: OUT"),
        (
            ["convert", "in.pth", "out.npz"],
            "OUT='out.npz' is refused; allowed: a path that ends in .safetensors",
        ),
        (["convert", "in.safetensors", "in.safetensors"], "OUT=.*is not IN"),
        (
            ["convert", "nowhere.safetensors", "out.safetensors"],
            "IN='nowhere.safetensors' is refused; .*No such file",
        ),
        (
            ["convert", "in.pth", "out.safetensors"],
            "IN='in.pth' is refused; allowed: torch to read it",
        ),
    ],
)
def test_the_command_refuses_in_one_line(monkeypatch, tmp_path, capsys, arguments, line):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert inception.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and re.fullmatch(f"jaxloop: {line}.*\n", err)


@pytest.mark.parametrize(
    "path", ["", "nowhere.safetensors", "pt_inception-2015-12-05-6726825d.pth"]
)
def test_without_weights_a_person_is_told_where_they_are(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pt_inception-2015-12-05-6726825d.pth").touch()
    with refused(
        "download https://github.com/mseitzer/pytorch-fid/.*d.pth and run `python -m .* convert pt_"
    ) as e:
        inception.load(path)
    assert e.value.value == path and str(e.value).endswith(".safetensors`")
    assert ".pth.safetensors" not in str(e.value)


TOLD = {"format": inception.FORMAT, "source": "in.pth", "sha256": "0" * 64}
FIRST = "batch_stats/Conv2d_1a_3x3/bn/mean"


@pytest.mark.parametrize(
    ("told", "tensors", "message"),
    [
        ({**TOLD, "format": "jaxloop-classifier/1"}, {}, "it has format 'jaxloop-classifier/1'"),
        ({**TOLD, "sha256": "abc"}, {}, "it has sha256 'abc'"),
        ({"format": inception.FORMAT}, {}, "it has source None"),
        (TOLD, {"other": np.zeros(3)}, f"{FIRST} is missing"),
        (TOLD, {FIRST: np.zeros(16)}, rf"{FIRST} has shape \(16,\), not \(32,\)"),
    ],
)
def test_other_converted_files_are_refused(tmp_path, told, tensors, message):
    path = tmp_path / "out.safetensors"
    files.write(path, told, traverse_util.unflatten_dict(tensors, sep="/"))
    with refused(message):
        inception.load(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "out.safetensors"
    safetensors.numpy.save_file({"fc.weight": np.zeros(3)}, path)
    with refused("convert`; this one does not say of what network it is"):
        inception.load(path)
    path.write_bytes(path.read_bytes()[:-4])
    with refused("a whole .safetensors file"):
        inception.load(path)


# Against torch-fidelity's and pytorch-fid's network


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """inception.pth of random weights, beside inception.safetensors, converted from it."""
    torch, torchvision, _ = libraries()
    torch.manual_seed(0)
    model = torchvision.models.inception_v3(num_classes=1008, aux_logits=False, init_weights=False)
    norms = [layer for layer in model.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for x in model.parameters():
            x.normal_(0, 0.3 if x.ndim == 1 else (2 / x[0].numel()) ** 0.5)
        # Scales around 1, and the statistics of a batch: with others, activations grow or vanish.
        for norm in norms:
            norm.weight += 1
            norm.momentum = 1.0
        batch = torch.from_numpy(pictures(4, SIDE, SIDE).transpose(0, 3, 1, 2).copy())
        model.train()((batch - 128) / 128)
    path = tmp_path_factory.mktemp("published") / "inception.pth"
    torch.save(model.state_dict(), path)
    assert inception.main(["convert", str(path), str(path.with_suffix(".safetensors"))]) == 0
    return path


@pytest.fixture(scope="module")
def torch_fidelity(published):
    """uint8 [n h w 3] -> float32 [n 2048]."""
    torch, _, _ = libraries()
    extractors = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    extractor = extractors.FeatureExtractorInceptionV3(
        "x", ["2048"], feature_extractor_weights_path=str(published)
    )
    return lambda image: extractor(torch.from_numpy(image.transpose(0, 3, 1, 2).copy()))[0].numpy()


@pytest.fixture(scope="module")
def pytorch_fid(published):
    """float32 [n 299 299 3] in [-1, 1] -> float32 [n 2048]."""
    torch, _, _ = libraries()
    networks = pytest.importorskip("pytorch_fid.inception")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "load_state_dict_from_url", lambda *_, **__: torch.load(published))
        model = networks.InceptionV3(resize_input=False, normalize_input=False).eval()
    return lambda x: model(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()))[0].numpy()[:, :, 0, 0]


@pytest.fixture(scope="module")
def path(published) -> Path:
    return published.with_suffix(".safetensors")


@pytest.fixture(scope="module")
def embed(path):
    """float32 [2 299 299 3] in [-1, 1] -> float32 [2 2048]: the network alone, compiled once."""
    variables = inception.load(path).variables
    return lambda x: np.asarray(compiled(variables, x))


compiled = jax.jit(InceptionV3().apply)


@pytest.fixture(scope="module")
def sets(path, torch_fidelity) -> tuple[np.ndarray, np.ndarray]:
    """Our features of 16 images of two kinds, 8 of each, and torch-fidelity's."""
    image = np.concatenate([pictures(8, 32, 32), pictures(8, 32, 32, contrast=0.5)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxloop.features.network.BATCH", 16)
        return inception.load(path)(image), torch_fidelity(image)


def assert_close(ours: np.ndarray, theirs: np.ndarray):
    """Within float32 through some 50 layers: 5e-7 of the largest feature was measured.

    Images differ by far more, so that what they have in common does not hide the rest.
    """
    assert ours.dtype == np.float32 and ours.shape == theirs.shape == (len(ours), DIM)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())
    assert np.median(np.ptp(theirs, axis=0)) > 1e-3 * np.abs(theirs).max()


def test_features_are_torch_fidelitys(sets):
    assert_close(*sets)


def test_features_of_oblong_images(embed, torch_fidelity):
    image = pictures(2, 40, 28)
    x = jax.jit(partial(inception.scaled, "tf"))(image)
    assert_close(embed(x), torch_fidelity(image))


def test_features_are_pytorch_fids(embed, pytorch_fid):
    """Its own resizing is neither of ours, so that it is given images of its size."""
    image = pictures(2, SIDE, SIDE)
    x = inception.scaled("tf", image)
    assert_close(embed(x), pytorch_fid((image.astype(np.float32) - 128) / 128))


def test_clean_features_are_pytorch_fids_of_pils_images(embed, pytorch_fid):
    image = pictures(2, 40, 28)
    resized = [[_resized(x[..., c]) for c in range(3)] for x in image]
    theirs = pytorch_fid((np.moveaxis(resized, 1, -1).clip(0, 255) - 128) / 128)
    assert_close(embed(inception.scaled("clean", image)), theirs)


def _resized(channel: np.ndarray) -> np.ndarray:
    return np.asarray(
        Image.fromarray(channel.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    )


def test_fid_is_torch_fidelitys(sets):
    torch, _, _ = libraries()
    fid = pytest.importorskip("torch_fidelity.metric_fid")
    # Of every fourth feature: their eigenvalues of all take most of a minute.
    ours, theirs = (x[:, ::4] for x in sets)
    a, b = (fid.fid_features_to_statistics(torch.from_numpy(x)) for x in (theirs[:8], theirs[8:]))
    expected = fid.fid_statistics_to_metric(a, b, verbose=False)[fid.KEY_METRIC_FID]
    np.testing.assert_allclose(frechet_distance(ours[:8], ours[8:]), expected, rtol=1e-2)
