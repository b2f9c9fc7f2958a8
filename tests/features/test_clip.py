import hashlib
import json
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import serialization, traverse_util

from jaxloop.errors import InputError
from jaxloop.features import clip, clip_preprocessing
from tests.classifiers.oracles import libraries

TOWER = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
CONFIG = {
    "model_type": "clip",
    "text_config": {**TOWER, "vocab_size": 50, "max_position_embeddings": 8},
    "vision_config": {**TOWER, "image_size": 24, "patch_size": 8},
    "projection_dim": 12,
}
PREPROCESSOR = {
    "size": {"shortest_edge": 30},
    "crop_size": {"height": 24, "width": 24},
    "image_mean": [0.5, 0.4, 0.3],
}


def random_params(config=CONFIG):
    """Parameters of a model, of the size that activations keep their scale."""
    random = np.random.default_rng(0)

    def draw(leaf):
        fan_in = max(1, int(np.prod(leaf.shape[:-1])))
        return np.asarray(
            random.normal(size=leaf.shape) / np.sqrt(fan_in if leaf.ndim > 1 else 4), np.float32
        )

    return jax.tree.map(draw, clip.module(config).params_shape_tree)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with Flax's weights."""
    folder = tmp_path_factory.mktemp("flax")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "flax_model.msgpack").write_bytes(serialization.msgpack_serialize(random_params()))
    return folder


def copied(folder: Path, to: Path, **files: bytes | None) -> Path:
    """A copy of the folder with other files; "__" in a name is a dot, None leaves one out."""
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name, value in (
        content | {name.replace("__", "."): value for name, value in files.items()}
    ).items():
        if value is not None:
            (to / name).write_bytes(value)
    return to


def pictures(h: int, w: int, n: int = 3) -> np.ndarray:
    """Noise of several scales, with black and white in it, where a cubic filter overshoots."""
    random = np.random.default_rng(h * w)
    coarse = random.integers(0, 2, (n, -(-h // 4), -(-w // 4), 3)) * 255
    fine = random.integers(-40, 40, (n, h, w, 3))
    return np.clip(np.repeat(np.repeat(coarse, 4, 1), 4, 2)[:, :h, :w] + fine, 0, 255).astype(
        np.uint8
    )


# Against transformers' PyTorch model and its preprocessing

SIZES = [(32, 32), (40, 28), (28, 61), (24, 24), (300, 200)]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """(folder, torch's model, its processor), with random weights."""
    torch, _, _ = libraries()
    import transformers

    torch.manual_seed(0)
    model = transformers.CLIPModel(transformers.CLIPConfig.from_dict(CONFIG)).eval()
    with torch.no_grad():
        for (
            name,
            x,
        ) in model.named_parameters():  # as they are drawn, the patches would hardly be felt
            x.normal_(0, 0.5 if x.ndim < 2 or "position" in name else x[0].numel() ** -0.5)
    processor = transformers.CLIPImageProcessor(**PREPROCESSOR)
    folder = tmp_path_factory.mktemp("torch")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder, model, processor


@pytest.mark.parametrize(("h", "w"), SIZES)
def test_preprocessing_is_transformers(theirs, h, w):
    folder, _, processor = theirs
    image = pictures(h, w)
    ours = clip_preprocessing.preprocess(clip.find(folder).preprocessing, image)
    expected = processor(list(image), return_tensors="np", input_data_format="channels_last")[
        "pixel_values"
    ]
    levels = np.abs(ours - expected.transpose(0, 2, 3, 1)) * np.array(processor.image_std) * 255
    # PIL has weights of 22 bits, ours are float32: a sum that lies nearly between two levels may be
    # rounded the other way, and one such in the width can move another in the height. One value in
    # 5,000 did.
    assert levels.max() < 1.001
    assert (levels > 1e-3).mean() < 1e-3


@pytest.mark.parametrize(("h", "w"), SIZES[:3])
def test_features_are_transformers(theirs, h, w):
    torch, _, _ = libraries()
    folder, model, processor = theirs
    image = pictures(h, w)
    network = clip.load(folder)
    ours = network(image)
    inputs = processor(list(image), return_tensors="pt", input_data_format="channels_last")
    with torch.no_grad():
        expected = model.get_image_features(**inputs).numpy()
    assert ours.shape == (3, network.dim) == (3, 12)
    # Such a level moves a feature by more than float32's rounding does: 1.5e-5 of the largest was
    # measured with, 2e-7 without.
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    assert (
        np.ptp(expected, axis=0).max() > 3e-2 * np.abs(expected).max()
    )  # the images are told apart


def test_torchs_two_files_hold_the_same(theirs, tmp_path):
    torch, _, _ = libraries()
    folder, model, _ = theirs
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    copied(folder, tmp_path, model__safetensors=None)
    ours, other = clip.find(folder), clip.find(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, clip.params(ours), clip.params(other))
    assert ours.preprocessing == other.preprocessing
    assert (ours.weights.name, other.weights.name) == ("model.safetensors", "pytorch_model.bin")


# Without torch


def test_features_are_the_flax_models(folder):
    network, whole = clip.load(folder), clip.find(folder)
    image, params = pictures(32, 40), clip.params(whole)
    pixels = clip_preprocessing.preprocess(whole.preprocessing, image).transpose(0, 3, 1, 2)
    expected = jax.jit(whole.model.get_image_features)(pixels, params=params)
    np.testing.assert_allclose(network(image), expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert (network.name, network.resize) == ("clip", "clip")
    assert (
        network.sha256 == hashlib.sha256((folder / "flax_model.msgpack").read_bytes()).hexdigest()
    )
    assert whole.preprocessing == clip_preprocessing.Preprocessing(
        24, 24
    )  # OpenAI's, where the folder does not say
    assert {"text_model", "text_projection"} < set(params) and set(network.variables) == set(
        clip.IMAGE
    )


def test_flax_writes_safetensors_too(folder, tmp_path):
    params = traverse_util.flatten_dict(random_params(), sep=".")
    written = safetensors.numpy.save(params, {"format": "flax"})
    copied(folder, tmp_path, flax_model__msgpack=None, model__safetensors=written)
    jax.tree.map(np.testing.assert_array_equal, clip.params(clip.find(tmp_path)), random_params())


def changed_params(change) -> bytes:
    params = traverse_util.flatten_dict(random_params(), sep="/")
    change(params)
    return serialization.msgpack_serialize(traverse_util.unflatten_dict(params, sep="/"))


def preprocessor(**told) -> bytes:
    return json.dumps(told).encode()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"flax_model__msgpack": None}, "weights, as one of model.safetensors, flax_model.msgpack"),
        ({"flax_model__msgpack": b"junk"}, "a whole flax_model.msgpack"),
        ({"model__safetensors": b"junk"}, "a whole .safetensors file"),
        ({"config__json": None}, "config.json can be read .*No such file"),
        ({"config__json": b"{"}, "config.json can be read"),
        (
            {"config__json": b'{"model_type": "bert"}'},
            "a CLIP; the config.json of this one is of a 'bert'",
        ),
        (
            {"config__json": json.dumps({**CONFIG, "vision_config": {"hidden_size": 7}}).encode()},
            "a CLIP that transformers can build",
        ),
        (
            {
                "flax_model__msgpack": lambda: changed_params(
                    lambda p: p.pop("visual_projection/kernel")
                )
            },
            "visual_projection/kernel is missing",
        ),
        (
            {
                "flax_model__msgpack": lambda: changed_params(
                    lambda p: p.update({"logit_scale": np.zeros(3)})
                )
            },
            r"logit_scale has shape \(3,\), not \(\)",
        ),
        ({"preprocessor_config__json": b"[]"}, "preprocessor_config.json is an object"),
        (
            {"preprocessor_config__json": preprocessor(do_center_crop=False)},
            "do_center_crop is False",
        ),
        ({"preprocessor_config__json": preprocessor(resample=2)}, "bicubic filter; resample is 2"),
        ({"preprocessor_config__json": preprocessor(rescale_factor=1)}, "rescale_factor is 1"),
        ({"preprocessor_config__json": preprocessor(size=20)}, "24 pixels or more; size is 20"),
        (
            {"preprocessor_config__json": preprocessor(size={"height": 24, "width": 24})},
            "size is {'height': 24",
        ),
        ({"preprocessor_config__json": preprocessor(crop_size=30)}, "crop_size is 30"),
        (
            {"preprocessor_config__json": preprocessor(image_std=[1, 1])},
            "divided by three numbers > 0; image_std is",
        ),
    ],
)
def test_other_folders_are_refused(folder, tmp_path, files, message):
    copied(
        folder,
        tmp_path,
        **{name: value() if callable(value) else value for name, value in files.items()},
    )
    with pytest.raises(InputError, match=f"{tmp_path}.* is refused; .*{message}") as caught:
        clip.load(tmp_path)
    assert caught.value.field == "config.measure.clip" and "\n" not in str(caught.value)


def test_torchs_file_needs_torch(folder, tmp_path, monkeypatch):
    copied(folder, tmp_path, flax_model__msgpack=None, pytorch_model__bin=b"")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match="config.measure.clip=.*torch to read it"):
        clip.load(tmp_path)


@pytest.mark.parametrize("path", ["", "nowhere", "/nowhere/at/all"])
def test_what_is_no_folder_and_no_hub_name_is_refused(path):
    with pytest.raises(InputError, match="a folder that exists, or a hub name"):
        clip.load(path)


# From the hub, whose client is replaced


def test_a_hub_name_fetches_one_file_of_weights(folder, monkeypatch):
    asked = []

    def fetch(name, allow_patterns):
        asked.append((name, allow_patterns[-1]))
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    assert clip.load("some/clip").dim == 12
    assert asked == [("some/clip", "model.safetensors"), ("some/clip", "flax_model.msgpack")]


def test_a_fetch_that_fails_is_told_in_one_line(monkeypatch):
    def fail(name, allow_patterns):
        raise ConnectionError("no network\n\nPlease check many things")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(
        InputError, match=r"some/clip' is refused; .*a folder .*ConnectionError: no network\)$"
    ):
        clip.load("some/clip")
