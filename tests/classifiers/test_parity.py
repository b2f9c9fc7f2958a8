"""Every network against its oracle (torchvision, timm), and shapes and sizes without one."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import traverse_util

from jaxloop import classifiers
from jaxloop.classifiers import deit, mobilenet_v3, resnet, torch_names
from jaxloop.errors import InputError
from jaxloop.ops.convolution import Conv, UpConv
from jaxloop.ops.layers import adaptive_average_pool
from tests.classifiers import oracles
from tests.classifiers.networks import drawn, jit_once, pictures, shapes

PARAMETERS = {
    "alexnet": 61_100_840,
    "vgg19": 143_667_240,
    "resnet50": 25_557_032,
    "mobilenet_v3_large": 5_483_032,
    "mobilenet_v3_small": 2_542_856,
    "deit_small": 22_050_664,
}
# name, stem -> smallest side
SMALLEST = {
    ("lenet", "imagenet"): 12,
    ("alexnet", "imagenet"): 63,
    ("vgg19", "imagenet"): 32,
    ("resnet50", "imagenet"): 1,
    ("mobilenet_v3_large", "imagenet"): 1,
    ("mobilenet_v3_small", "imagenet"): 1,
    ("deit_small", "imagenet"): 16,
    ("lenet", "small"): 12,
    ("alexnet", "small"): 8,
    ("vgg19", "small"): 16,
    ("resnet50", "small"): 1,
    ("mobilenet_v3_large", "small"): 1,
    ("mobilenet_v3_small", "small"): 1,
    ("deit_small", "small"): 4,
}


class Pair(NamedTuple):
    """A network of ours and the oracle with the same random weights."""

    name: str
    oracle: Any
    module: nn.Module
    variables: Any


def paired(name: str, num_classes: int = 1000, size: int = 224) -> Pair:
    oracle = oracles.randomise(oracles.build(name, num_classes, size))
    variables = torch_names.convert(name, oracles.state(oracle))
    return Pair(name, oracle, classifiers.create(name, num_classes), jax.device_put(variables))


@pytest.fixture(scope="module", params=PARAMETERS)
def pair(request) -> Pair:
    return paired(request.param)


def count(params) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def assert_close(ours, theirs, tolerance: float):
    """Within `tolerance` of the largest entry: sums in another order differ by their terms."""
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


def assert_trees_close(ours, theirs, tolerance: float):
    """The same, of the largest entry of all: before a batch norm, a bias's gradient is rounding."""
    largest = max((np.abs(leaf).max() for leaf in jax.tree.leaves(theirs)), default=0)
    close = partial(np.testing.assert_allclose, rtol=0, atol=tolerance * largest)
    jax.tree.map(close, ours, theirs)


# Against the oracles. Measured: at most 8e-6. So 1e-4 has room for another machine's order of
# summation; what else it has room for, a slightly wrong epsilon say, the training step in float64
# finds, which is held to 1e-6.


def test_logits_of_the_oracle(pair):
    images = pictures(1 if pair.name == "vgg19" else 2, 224, 224)
    ours = jit_once(partial(pair.module.apply, train=False))(pair.variables, images)
    assert_close(ours, oracles.run(pair.oracle, images), 1e-4)


def test_features_at_the_smallest_height_and_an_odd_width(pair):
    height, width = SMALLEST[pair.name, "imagenet"], 97
    if pair.name == "deit_small":  # another size is another network
        height = width = 48
        pair = paired(pair.name, size=48)
    images = pictures(2, height, width)
    ours = jit_once(partial(pair.module.apply, train=False, features=True))(pair.variables, images)
    theirs = oracles.run_features(pair.name, pair.oracle, images)
    # Not all bias: the images are felt fifty times as much as the tolerance.
    assert np.abs(theirs[0] - theirs[1]).max() > 50e-4 * np.abs(theirs).max()
    assert_close(ours, theirs, 1e-4)


def test_parameter_counts(pair):
    assert sum(p.numel() for p in pair.oracle.parameters()) == PARAMETERS[pair.name]
    assert count(pair.variables["params"]) == PARAMETERS[pair.name]
    ours, _ = shapes(pair.name, "imagenet", 224, 224, width=1.0, num_classes=1000)
    assert jax.tree.map(np.shape, ours) == jax.tree.map(np.shape, pair.variables)


def test_the_oracle_refuses_the_same_sizes(pair):
    smallest = SMALLEST[pair.name, "imagenet"]
    if pair.name in ("alexnet", "vgg19"):
        with pytest.raises(RuntimeError, match="size is too small"):
            oracles.run(pair.oracle, pictures(1, smallest - 1, 224))
    elif pair.name == "deit_small":
        with pytest.raises(AssertionError, match="height"):
            oracles.run(pair.oracle, pictures(1, smallest - 1, 224))


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v3_small"])
def test_width_is_torchvisions(name):
    torch, _, _ = oracles.libraries()
    for width in (0.25, 1.4):
        with torch.device("meta"):  # shapes alone
            theirs = oracles.build(name, width_mult=width)
        ours, _ = shapes(name, "imagenet", 224, 224, width=width, num_classes=1000)
        assert count(ours["params"]) == sum(p.numel() for p in theirs.parameters())


def without_dropout(call, args, kwargs, context):
    return args[0] if isinstance(context.module, nn.Dropout) else call(*args, **kwargs)


@pytest.mark.usefixtures("standard_promotion")
# In float64: in float32 a sum near zero falls on either side of a ReLU, and few pixels are left.
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["resnet50", "mobilenet_v3_large", "mobilenet_v3_small", "deit_small"]
)
def test_gradients_and_running_statistics_of_a_training_step(name):
    torch, _, _ = oracles.libraries()
    pair = paired(name, num_classes=5, size=48)
    images, labels = pictures(4, 48, 48).astype(np.float64), np.array([0, 3, 1, 4])

    oracle = pair.oracle.double().train()
    for layer in oracle.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    torch.nn.functional.cross_entropy(
        oracle(oracles.to_torch(images)), torch.from_numpy(labels)
    ).backward()
    gradients = {key: value.grad.numpy() for key, value in oracle.named_parameters()}
    theirs = torch_names.convert(name, {**oracles.state(oracle), **gradients})

    module = pair.module.clone(dtype=jnp.float64)

    def loss(params, rest, images):
        logits, changed = module.apply(
            {**rest, "params": params}, images, train=True, mutable=["batch_stats"]
        )
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), changed

    with jax.enable_x64(True), nn.intercept_methods(without_dropout):
        params, rest = (
            pair.variables["params"],
            {k: v for k, v in pair.variables.items() if k != "params"},
        )
        double = partial(jax.tree.map, lambda leaf: leaf.astype(np.float64))
        gradient, changed = jit_once(jax.grad(loss, has_aux=True))(
            double(params), double(rest), images
        )
    assert_trees_close(changed.get("batch_stats", {}), theirs.get("batch_stats", {}), 1e-6)
    assert_trees_close(gradient, theirs["params"], 1e-6)


@pytest.mark.parametrize(
    "name, block, module, shape",
    [
        ("resnet50", "layer4_1", resnet.Bottleneck(512, 2048, stride=1), (2, 2, 2048)),
        (
            "mobilenet_v3_small",
            "block9",
            mobilenet_v3.InvertedResidual(mobilenet_v3.SMALL[9]),
            (2, 2, 96),
        ),
        ("deit_small", "block3", deit.Block(), (2, 384)),
    ],
)
def test_initial_weights_spread_as_the_oracles(name, block, module, shape):
    theirs = traverse_util.flatten_dict(
        torch_names.convert(name, oracles.state(oracles.build(name)))["params"][block]
    )
    init = module.init if name == "deit_small" else partial(module.init, train=False)
    ours = traverse_util.flatten_dict(
        jit_once(init)(jax.random.key(0), jnp.zeros((1, *shape)))["params"]
    )
    assert ours.keys() == theirs.keys()
    for path, value in ours.items():
        assert np.std(value) == pytest.approx(np.std(theirs[path]), rel=0.05), path
        assert np.mean(value) == pytest.approx(
            np.mean(theirs[path]), abs=0.1 * float(np.std(value))
        ), path


def test_average_pooling_is_torchs():
    torch, _, _ = oracles.libraries()
    for height, width, side in ((1, 5, 6), (6, 6, 6), (13, 7, 6), (14, 21, 7), (3, 29, 7)):
        images = pictures(2, height, width)
        theirs = torch.nn.functional.adaptive_avg_pool2d(oracles.to_torch(images), side).numpy()
        np.testing.assert_allclose(
            adaptive_average_pool(images, side), theirs.transpose(0, 2, 3, 1), rtol=0, atol=1e-6
        )


def test_refused_weights():
    name, good = "mobilenet_v3_small", oracles.state(oracles.build("mobilenet_v3_small", 7))
    key = "features.3.block.1.0.weight"
    assert good[key].shape == (88, 1, 3, 3) and "features.3.block.1.1.num_batches_tracked" in good
    without = {k: v for k, v in good.items() if k != key}
    narrow, wide = {**good, key: good[key][:, 0]}, {**good, "classifier.3.bias": np.zeros(8)}
    for network, state, message in (
        ("lenet", good, "weights='lenet'.*alexnet, vgg19"),
        ("resnet", good, "weights='resnet'.*alexnet, vgg19"),
        (name, without, f"weights of {name}; {key} is missing; the first that it holds: features"),
        (name, narrow, rf"{key} has shape \(88, 3, 3\), not \(88, 1, 3, 3\)"),
        (name, wide, r"classifier.3.weight has shape \(7, 1024\), not \(8, 1024\)"),
        (name, {**good, "features.9": np.zeros(7)}, "features.9 is none of its tensors"),
        ("alexnet", good, "weights of alexnet; features.0.bias is missing"),
    ):
        with pytest.raises(InputError, match=message):
            torch_names.convert(network, state)


def test_refused_position_embedding():
    good = oracles.state(oracles.build("deit_small", 7, size=32))
    with pytest.raises(InputError, match=r"pos_embed has shape \(1, 7, 384\), not \(1, 5, 384\)"):
        torch_names.convert("deit_small", {**good, "pos_embed": np.zeros((1, 7, 384))})


# Without the oracles.


@pytest.mark.parametrize("name, stem", SMALLEST)
def test_sizes(name, stem):
    smallest = SMALLEST[name, stem]
    other = 5 * smallest if name == "deit_small" else 67
    assert shapes(name, stem, smallest, other)[1] == (3, 5)
    for sides in ((smallest - 1, other), (other, smallest - 1)):
        with pytest.raises(
            InputError,
            match=f"={smallest - 1} is refused; allowed: .*at least {smallest} for {name}",
        ):
            shapes(name, stem, *sides)


def test_patches_cover_the_image():
    for stem, patch in (("imagenet", 16), ("small", 4)):
        with pytest.raises(InputError, match=f"a multiple of {patch}"):
            shapes("deit_small", stem, 2 * patch, 3 * patch - 2)


@pytest.mark.usefixtures("shallow")
@pytest.mark.parametrize("name, stem", SMALLEST)
def test_shapes_in_training_and_in_evaluation(name, stem):
    side = 64 if (name, stem) == ("alexnet", "imagenet") else 32
    module = classifiers.create(name, 5, stem, width=0.25)
    variables = drawn(shapes(name, stem, side, side)[0])

    run = partial(
        module.apply, train=True, rngs={"dropout": jax.random.key(0)}, mutable=["batch_stats"]
    )
    logits, changed = jit_once(run)(variables, pictures(2, side, side))
    assert logits.shape == (2, 5) and np.isfinite(logits).all()
    old, new = (traverse_util.flatten_dict(v.get("batch_stats", {})) for v in (variables, changed))
    assert old.keys() == new.keys() and not any(
        np.array_equal(old[path], new[path]) for path in old
    )

    features = jax.eval_shape(
        partial(module.apply, train=False, features=True), variables, pictures(2, side, side)
    )
    heads = [leaf for leaf in jax.tree.leaves(variables["params"]) if leaf.shape[1:] == (5,)]
    assert len(heads) == 1 and features.shape == (2, len(heads[0]))


@pytest.mark.usefixtures("standard_promotion")
@pytest.mark.parametrize("depth", ["shallow", pytest.param("whole", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", classifiers.NAMES)
def test_bfloat16_computes_nearly_the_same(name, depth, request):
    if depth == "shallow":
        request.getfixturevalue("shallow")
    dtypes = (jnp.bfloat16, jnp.float32)
    half, full = (classifiers.create(name, 5, "small", 0.25, dtype) for dtype in dtypes)
    variables, images = drawn(classifiers.shapes(half, 32)), pictures(3, 32, 32)

    def loss(variables):
        rngs = {"dropout": jax.random.key(0)}
        apply = partial(half.apply, train=True, rngs=rngs, mutable=["batch_stats"])
        logits, statistics = apply(variables, images)
        return logits.mean(), (logits, statistics)

    training = jax.make_jaxpr(jax.value_and_grad(loss, has_aux=True), return_shape=True)
    jaxpr, outputs = training(variables)
    tensors = (classifiers.shapes(half, 32), outputs)
    assert {x.dtype for x in jax.tree.leaves(tensors)} == {jnp.dtype("float32")}
    assert str(jaxpr).count("bf16[") > 20
    # Not in training: batch norms over three pixels enlarge any rounding, of the images alone too.
    ours, theirs = (
        jit_once(partial(m.apply, train=False))(variables, images) for m in (half, full)
    )
    assert ours.dtype == jnp.float32 and not np.array_equal(ours, theirs)
    assert_close(ours, theirs, 0.1)  # 0.054 at most was measured


def test_the_ops_compute_in_the_given_dtype():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 6, 20)), jnp.float32)
    up, conv = partial(UpConv, 16), partial(Conv, 16, (3, 3), padding=1)
    for layer in (up, conv, partial(conv, strides=2), partial(conv, feature_group_count=4)):
        variables = layer().init(jax.random.key(0), x)
        half = layer(dtype=jnp.bfloat16).apply(variables, x)
        assert half.dtype == jnp.bfloat16 and layer().apply(variables, x).dtype == jnp.float32
        assert_close(half.astype(jnp.float32), layer().apply(variables, x), 0.02)
