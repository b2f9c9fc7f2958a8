"""The Inception-V3 that the FID is measured in, from weights that are published for PyTorch.

    python -m jaxloop.features.inception convert pt_inception-2015-12-05-6726825d.pth inception.safetensors

The weights are TensorFlow's of 2015, as pytorch-fid and torch-fidelity publish them: one file of two names.
"""

import functools
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from jaxloop import keys
from jaxloop.errors import EXIT_CODE, InputError
from jaxloop.features import resizing
from jaxloop.features.inception_network import DIM, SIDE, InceptionV3
from jaxloop.features.network import Network
from jaxloop.types import Array, PyTree
from jaxloop.weights import files as weight_files

FIELD = "config.measure.inception"
FORMAT = "jaxloop-inception/1"
URL = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"  # of this file, and of torch-fidelity's
CONVERT = "python -m jaxloop.features.inception convert"
CLASSES = 1008  # of its head: of no use here, but torchvision's network, which has other weights, has 1000
LEFT_OUT = r"fc\.bias|AuxLogits\..*|.*\.num_batches_tracked"

# What a converted file says of itself -> what is valid.
METADATA: dict[str, Callable[[object], bool]] = {
    "format": lambda value: value == FORMAT,
    "source": lambda value: isinstance(value, str),
    "sha256": lambda value: (
        isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None
    ),
}

# Our last name of a tensor -> torch's. Those before it are the same.
TORCH_NAMES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


def load(path: str | os.PathLike, resize: str = "tf") -> Network:
    """The network with the weights in a converted file; its features are those before the head, d = 2048.

    Args:
      resize: "tf", as torch-fidelity and the first FID: TensorFlow 1's bilinear interpolation to 299x299.
        "clean", as clean-fid (Parmar et al. 2022, arXiv:2104.11222): PIL's antialiased bicubic filter to 299x299, a channel at
        a time in float32, clipped to [0, 255] and not rounded. After either, (pixel - 128) / 128.

    Raises:
      InputError: no file, or none that `convert` made, whole and of this network.
      ValueError: no such `resize`.
    """
    if resize not in RESIZES:
        raise ValueError(f"resize={resize!r}: one of {', '.join(RESIZES)}")
    if Path(path).suffix != weight_files.SUFFIX or not Path(path).is_file():
        raise InputError(FIELD, str(path), missing(path))
    told = weight_files.described(path, FIELD, f"a file made by `{CONVERT}`", METADATA)
    variables = weight_files.variables(path, FIELD)
    given, wanted = (traverse_util.flatten_dict(tree) for tree in (variables, shapes()))
    weight_files.refuse_other(FIELD, str(path), "weights of this Inception-V3", given, wanted)
    return Network(
        "inception", DIM, resize, told["sha256"], variables, functools.partial(embed, resize)
    )


def missing(path: str | os.PathLike) -> str:
    """What would make a file of weights at `path`, in one line."""
    target = shlex.quote(
        str(Path(path).with_suffix(weight_files.SUFFIX)) if str(path) else "inception.safetensors"
    )
    return f"a file of Inception-V3's weights: download {URL} and run `{CONVERT} {Path(URL).name} {target}`"


def embed(resize: str, variables: PyTree, image: Array) -> Array:
    """uint8 [n h w 3] -> float32 [n 2048]."""
    return InceptionV3().apply(variables, scaled(resize, image))


def scaled(resize: str, image: Array) -> Array:
    """What the network sees: uint8 [n h w 3] -> float32 [n 299 299 3] in [-1, 1)."""
    return (RESIZES[resize](jnp.asarray(image, jnp.float32)) - 128) / 128


def _resized_tf(image: Array) -> Array:
    rows, columns = (resizing.tensorflow1(side, SIDE) for side in image.shape[1:3])
    return resizing.apply(rows, columns, image)


def _resized_clean(image: Array) -> Array:
    rows, columns = (resizing.bicubic(side, SIDE) for side in image.shape[1:3])
    return jnp.clip(resizing.apply(rows, columns, image), 0, 255)


RESIZES = {"tf": _resized_tf, "clean": _resized_clean}


@functools.cache
def shapes() -> PyTree:
    """The network's variables as shapes: nothing is computed."""
    return jax.eval_shape(
        lambda: InceptionV3().init(keys.root_key(0), jnp.zeros((1, SIDE, SIDE, 3)))
    )


def from_torch(state: Mapping[str, np.ndarray]) -> PyTree:
    """The variables, NumPy float32, from a torch state dict of pytorch-fid or torch-fidelity.

    The head is left out, and an auxiliary one.

    Raises:
      InputError: names the first tensor that is missing, has another shape than the network's, or is not one of its own.
    """
    ours = traverse_util.flatten_dict(shapes())
    names = {path: ".".join((*path[1:-1], TORCH_NAMES[path[-1]])) for path in ours}
    wanted = {names[path]: _oihw(leaf.shape) for path, leaf in ours.items()} | {
        "fc.weight": (CLASSES, DIM)
    }
    for key, shape in wanted.items():
        if key not in state:
            raise InputError("weights", key, "a state dict with this tensor, which is missing")
        if np.shape(state[key]) != shape:
            raise InputError("weights", key, f"shape {shape}, not {np.shape(state[key])}")
    for key in state:
        if key not in wanted and not re.fullmatch(LEFT_OUT, key):
            raise InputError("weights", key, "the network's tensors and no other")
    return traverse_util.unflatten_dict({path: _hwio(state[name]) for path, name in names.items()})


def _oihw(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Torch's shape of a tensor of ours: a kernel is turned, a vector stays."""
    return (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape


def _hwio(value: np.ndarray) -> np.ndarray:
    """A copy of torch's tensor, laid out as ours."""
    return np.array(
        value.transpose(2, 3, 1, 0) if value.ndim == 4 else value, np.float32, order="C"
    )


def convert(source: Path, target: Path) -> str:
    """Converts the published file `source`, .pth or .safetensors, and writes `target`.

    Returns:
      The sha256 of `source`.

    Raises:
      InputError: no torch for a .pth, a file that is not a state dict, the first tensor that is missing, misshapen or not the
        network's, a target that cannot be written.
    """
    weight_files.check_target(source, target)
    state = weight_files.published(source)
    try:
        variables = from_torch(state)
    except InputError as error:
        raise InputError(
            "IN", str(source), f"weights of this Inception-V3; {error.value}: {error.allowed}"
        ) from None
    told = {"format": FORMAT, "source": source.name, "sha256": weight_files.sha256(source)}
    weight_files.write(target, told, variables)
    return told["sha256"]


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 after one line on stderr for a bad input."""
    parser = weight_files.Parser(
        prog="python -m jaxloop.features.inception", description="The weights of the FID."
    )
    does = "convert the published file to Linen variables"
    command = parser.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "convert", help=does, description=does
    )
    command.add_argument("source", metavar="IN", type=Path, help=f"the file at {URL}")
    command.add_argument(
        "target", metavar="OUT", type=Path, help="a .safetensors file; replaced if it is there"
    )
    try:
        arguments = parser.parse_args(argv)
        sha256 = convert(arguments.source, arguments.target)
    except (InputError, OSError) as error:
        print(f"jaxloop: {error}", file=sys.stderr)
        return EXIT_CODE
    known = (
        "as published"
        if sha256 == SHA256
        else f"other weights than the published ones, whose sha256 is {SHA256}"
    )
    print(f"Inception-V3 from {arguments.source.name}, sha256 {sha256}, {known}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
