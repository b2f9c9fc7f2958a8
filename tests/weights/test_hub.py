from functools import partial

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import traverse_util

from jaxloop import classifiers
from jaxloop.classifiers import pretrained, torch_names
from jaxloop.errors import InputError
from jaxloop.weights import hub
from tests.classifiers import oracles
from tests.classifiers.test_pretrained import published, shapes

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
    fetch = lambda repository, allow_patterns: str(path.parent)  # noqa: E731
    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)


def timm_model(name: str):
    """timm's network with random weights; in batch norms, also channels that hardly vary."""
    torch, _, timm = oracles.libraries()
    torch.manual_seed(0)
    model = oracles.randomise(timm.create_model(name).eval())
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if key.endswith("running_var"):
                value[:2] = torch.tensor([0.0, 2e-4])
                # Divided by as little as 0.003; without a small scale they drown all others.
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
    variables = torch_names.convert(ours, oracles.state(model), timm=True)
    images = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype(np.float32)
    logits = jax.jit(partial(classifiers.create(ours).apply, train=False))(variables, images)
    theirs = oracles.run(model, images)
    # 3e-6 at most was measured, and at least 0.1 for MobileNets of an uncorrected epsilon.
    np.testing.assert_allclose(logits, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())


def test_names_of_a_mobilenet():
    """Read off the two libraries' networks; each kind of block once."""
    names = {
        "conv_stem.weight": "features.0.0.weight",
        "bn1.running_mean": "features.0.1.running_mean",
        "blocks.0.0.conv_dw.weight": "features.1.block.0.0.weight",
        "blocks.0.0.bn1.bias": "features.1.block.0.1.bias",
        "blocks.0.0.se.conv_reduce.bias": "features.1.block.1.fc1.bias",
        "blocks.0.0.se.conv_expand.weight": "features.1.block.1.fc2.weight",
        "blocks.0.0.conv_pw.weight": "features.1.block.2.0.weight",
        "blocks.0.0.bn2.running_var": "features.1.block.2.1.running_var",
        "blocks.1.0.conv_pw.weight": "features.2.block.0.0.weight",
        "blocks.1.0.bn1.bias": "features.2.block.0.1.bias",
        "blocks.1.0.conv_dw.weight": "features.2.block.1.0.weight",
        "blocks.1.0.bn2.bias": "features.2.block.1.1.bias",
        "blocks.1.0.conv_pwl.weight": "features.2.block.2.0.weight",
        "blocks.1.0.bn3.bias": "features.2.block.2.1.bias",
        "blocks.2.0.se.conv_reduce.weight": "features.4.block.2.fc1.weight",
        "blocks.2.0.conv_pwl.weight": "features.4.block.3.0.weight",
        "blocks.5.0.conv.weight": "features.12.0.weight",
        "blocks.5.0.bn1.bias": "features.12.1.bias",
        "conv_head.weight": "classifier.0.weight",
        "classifier.bias": "classifier.3.bias",
    }
    name = "mobilenet_v3_small"
    variables = traverse_util.flatten_dict(shapes(name), sep="/")
    keys = (
        torch_names.keys(x[name], variables) for x in (torch_names.TIMM_LAYERS, torch_names.LAYERS)
    )
    pairs = {a: b for a, b in zip(*(k.values() for k in keys), strict=True)}
    assert names.items() <= pairs.items() and len(pairs) == len(variables)


def test_the_scale_takes_up_the_other_epsilon():
    scale, var = np.float32([2, 2, -1]), np.float32([1, 0, 5e-4])
    variables = {"params": {"bn": {"scale": scale}}, "batch_stats": {"bn": {"var": var}}}
    changed = torch_names._rescaled(variables)
    np.testing.assert_array_equal(changed["batch_stats"]["bn"]["var"], var)
    other = changed["params"]["bn"]["scale"]
    np.testing.assert_allclose(other / np.sqrt(var + 1e-3), scale / np.sqrt(var + 1e-5), rtol=1e-6)
    assert other.dtype == np.float32


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
        match=r"pretrained='timm/resnet50.x' is refused; .*resnet50; .*missing; .*holds: fc.weight",
    ):
        pretrained.fetch("timm/resnet50.x")
    path = tmp_path / "model.safetensors"
    for damage in (lambda: path.write_bytes(b"junk"), path.unlink):
        damage()
        with pytest.raises(InputError, match=r"'timm/resnet50.x' is refused; .* a whole .safetens"):
            pretrained.fetch("timm/resnet50.x")


def test_a_fetch_that_fails_is_told_in_one_line(monkeypatch):
    def fail(repository, allow_patterns):
        assert (repository, allow_patterns) == ("timm/resnet50.tv_in1k", ["model.safetensors"])
        raise ConnectionError("no network\n\nPlease check many things")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    message = "^config.classifier.pretrained='timm/resnet50.tv_in1k' .*convert`, or .*network\\)$"
    with pytest.raises(InputError, match=message):
        pretrained.fetch("timm/resnet50.tv_in1k")


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
