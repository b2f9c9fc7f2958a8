from functools import partial

import jax
import numpy as np
import pytest
import safetensors.numpy

from jaxloop import classifiers
from jaxloop.classifiers import pretrained, torch_names
from jaxloop.errors import InputError
from jaxloop.weights import hub
from tests.classifiers import oracles
from tests.classifiers.test_pretrained import published

TAGS = {
    "vgg19": "tv_in1k",
    "resnet50": "tv_in1k",
    "mobilenetv3_large_100": "ra_in1k",
    "mobilenetv3_small_100": "lamb_in1k",
    "deit_small_patch16_224": "fb_in1k",
}


def serve(monkeypatch, path, state) -> None:
    """Makes the hub's client answer with a file of these tensors."""
    safetensors.numpy.save_file(state, path)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda repository, file: str(path))


def timm_model(name: str):
    """timm's network with random weights; where it normalises batches, also channels that hardly vary, or are dead."""
    torch, _, timm = oracles.libraries()
    torch.manual_seed(0)
    model = oracles.randomise(timm.create_model(name).eval())
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if key.endswith("running_var"):
                value[:2] = torch.tensor([0.0, 2e-4])
                # Such channels are divided by as little as 0.003; without a small scale they would drown all others.
                model.get_parameter(key.replace("running_var", "weight"))[:2] = torch.tensor(
                    [0.001, 0.003]
                )
    return model


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("vgg19", marks=pytest.mark.slow),
        pytest.param("resnet50", marks=pytest.mark.slow),
        "mobilenetv3_large_100",
        "mobilenetv3_small_100",
        "deit_small_patch16_224",
    ],
)
def test_timms_network_is_ours(name):
    model = timm_model(name)
    ours = hub.ARCHITECTURES[name]
    variables = torch_names.convert(ours, hub.torchvision_names(ours, oracles.state(model)))
    images = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype(np.float32)
    logits = jax.jit(partial(classifiers.create(ours).apply, train=False))(variables, images)
    theirs = oracles.run(model, images)
    # 3e-6 at most was measured, and at least 0.1 for the MobileNets where their epsilon is not corrected.
    np.testing.assert_allclose(logits, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())


def test_names_of_a_mobilenet():
    """Read off the two libraries' networks; each kind of block once, and what has no batch norm."""
    names = {
        "conv_stem.weight": "features.0.0.weight",
        "bn1.running_mean": "features.0.1.running_mean",
        "blocks.0.0.conv_dw.weight": "features.1.block.0.0.weight",
        "blocks.0.0.bn1.bias": "features.1.block.0.1.bias",
        "blocks.0.0.se.conv_reduce.bias": "features.1.block.1.fc1.bias",
        "blocks.0.0.se.conv_expand.weight": "features.1.block.1.fc2.weight",
        "blocks.0.0.conv_pw.weight": "features.1.block.2.0.weight",
        "blocks.0.0.bn2.num_batches_tracked": "features.1.block.2.1.num_batches_tracked",
        "blocks.1.0.conv_pw.weight": "features.2.block.0.0.weight",
        "blocks.1.0.bn1.bias": "features.2.block.0.1.bias",
        "blocks.1.0.conv_dw.weight": "features.2.block.1.0.weight",
        "blocks.1.0.bn2.bias": "features.2.block.1.1.bias",
        "blocks.1.0.conv_pwl.weight": "features.2.block.2.0.weight",
        "blocks.1.0.bn3.bias": "features.2.block.2.1.bias",
        "blocks.1.1.conv_pw.weight": "features.3.block.0.0.weight",
        "blocks.1.1.conv_dw.weight": "features.3.block.1.0.weight",
        "blocks.1.1.se.conv_reduce.weight": "features.3.block.2.fc1.weight",
        "blocks.1.1.conv_pwl.weight": "features.3.block.3.0.weight",
        "blocks.10.0.conv.weight": "features.4.0.weight",
        "blocks.10.0.bn1.bias": "features.4.1.bias",
        "conv_head.weight": "classifier.0.weight",
        "classifier.bias": "classifier.3.bias",
        "unknown": "unknown",
        "un.known": "un.known",
    }
    state = {key: np.full((2, 3, 1, 1), i) for i, key in enumerate(names)}
    renamed = hub.torchvision_names("mobilenet_v3_small", state)
    assert {key: x.flat[0] for key, x in renamed.items()} == {
        name: i for i, name in enumerate(names.values())
    }
    assert renamed["classifier.0.weight"].shape == (2, 3)


def test_the_scale_takes_up_the_other_epsilon():
    state = {"bn1.weight": np.float32([2, 2, -1]), "bn1.running_var": np.float32([1, 0, 5e-4])}
    renamed = hub.torchvision_names("mobilenet_v3_large", state)
    scale, var = renamed["features.0.1.weight"], renamed["features.0.1.running_var"]
    np.testing.assert_array_equal(var, state["bn1.running_var"])
    expected = state["bn1.weight"] / np.sqrt(state["bn1.running_var"] + 1e-5)
    np.testing.assert_allclose(scale / np.sqrt(var + 1e-3), expected, rtol=1e-6)
    assert scale.dtype == np.float32


def test_dense_layers_of_a_vgg():
    kernel = np.arange(4 * 3 * 49.0).reshape(4, 3, 7, 7)
    state = {
        "features.0.weight": np.zeros((4, 3, 3, 3)),
        "pre_logits.fc1.weight": kernel,
        "pre_logits.fc1.bias": kernel[0],
    }
    renamed = hub.torchvision_names("vgg19", state | {"head.fc.weight": np.zeros((5, 4))})
    assert list(renamed) == [
        "features.0.weight",
        "classifier.0.weight",
        "classifier.0.bias",
        "classifier.6.weight",
    ]
    assert renamed["features.0.weight"].shape == (4, 3, 3, 3)
    np.testing.assert_array_equal(renamed["classifier.0.weight"], kernel.reshape(4, 3 * 49))


def test_a_hub_name_gives_weights(monkeypatch, tmp_path):
    entry, state = "timm/deit_small_patch16_224.fb_in1k", published("deit_small", num_classes=3)
    serve(monkeypatch, tmp_path / "model.safetensors", state)
    weights = pretrained.for_classifiers((entry,), ("deit_small",), "imagenet", 1.0)["deit_small"]
    assert (weights.path, weights.source, weights.num_classes) == (entry, entry, 3)
    assert len(weights.sha256) == 64
    jax.tree.map(
        np.testing.assert_array_equal, weights.variables, torch_names.convert("deit_small", state)
    )
    pretrained.write(tmp_path / "again.safetensors", weights)
    assert pretrained.read(tmp_path / "again.safetensors").sha256 == weights.sha256


def test_a_hub_file_of_another_network_is_refused(monkeypatch, tmp_path):
    serve(monkeypatch, tmp_path / "model.safetensors", {"fc.weight": np.zeros((3, 3))})
    with pytest.raises(
        InputError,
        match=r"pretrained='timm/resnet50.x' is refused; .*resnet50; conv1.weight: .*missing",
    ):
        pretrained.fetch("timm/resnet50.x")
    (tmp_path / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(
        InputError, match=r"pretrained='timm/resnet50.x' is refused; allowed: a whole .safetensors"
    ):
        pretrained.fetch("timm/resnet50.x")


def test_a_fetch_that_fails_is_told_in_one_line(monkeypatch):
    def fail(repository, file):
        assert (repository, file) == ("timm/resnet50.tv_in1k", "model.safetensors")
        raise ConnectionError("no network\n\nPlease check many things")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)
    with pytest.raises(
        InputError, match=r"ConnectionError: no network\); or convert a local file"
    ) as caught:
        pretrained.fetch("timm/resnet50.tv_in1k")
    assert (
        caught.value.field == "config.classifier.pretrained"
        and caught.value.value == "timm/resnet50.tv_in1k"
    )
    assert "Please" not in str(caught.value)


def test_what_reads_as_a_hub_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "resnet50.tv_in1k").touch()
    assert hub.is_name("timm/resnet50.tv_in1k")
    for entry in (
        "folder/resnet50.tv_in1k",
        "weights/resnet50.safetensors",
        "weights/resnet50.pth",
        "resnet50",
        "/a/b",
        "a/b/c",
    ):
        assert not hub.is_name(entry)


def test_the_network_is_known_by_its_name():
    for name, tag in TAGS.items():
        assert hub.architecture(f"timm/{name}.{tag}") == hub.ARCHITECTURES[name]
        assert hub.architecture(f"someone/{name}") in torch_names.NAMES
    for name in (
        "resnet50d.a1_in1k",
        "vgg19_bn.tv_in1k",
        "deit3_small_patch16_224.fb_in1k",
        "tf_mobilenetv3_small_100.in1k",
    ):
        with pytest.raises(
            InputError, match=f"timm/{name}' is refused; .*hub names of timm's vgg19, resnet50"
        ):
            hub.architecture(f"timm/{name}")
    for tag in ("miil_in21k", "ra4_e3600_r224_in1k"):
        with pytest.raises(InputError, match=f"{tag}'s were not"):
            hub.architecture(f"timm/mobilenetv3_large_100.{tag}")


def test_otherwise_normalised_are_all_that_timm_knows():
    _, _, timm = oracles.libraries()
    usual = (timm.data.IMAGENET_DEFAULT_MEAN, timm.data.IMAGENET_DEFAULT_STD)
    other = set()
    for name in hub.ARCHITECTURES:
        tags = timm.list_models(f"{name}.*", pretrained=True)
        assert f"{name}.{TAGS[name]}" in tags
        other |= {
            tag
            for tag in tags
            if (timm.get_pretrained_cfg(tag).mean, timm.get_pretrained_cfg(tag).std) != usual
        }
    assert other == {f"mobilenetv3_large_100.{tag}" for tag in hub.OTHERWISE_NORMALISED}
