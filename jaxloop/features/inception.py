"""The Inception-V3 that the FID is measured in, from weights that are published for PyTorch.

    python -m jaxloop.features.inception convert pt_inception-2015-12-05-6726825d.pth OUT

The weights are TensorFlow's of 2015, as pytorch-fid and torch-fidelity publish them in one file.
"""

import functools
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop import keys
from jaxloop.errors import InputError
from jaxloop.features import resizing
from jaxloop.features.inception_network import DIM, SIDE, InceptionV3
from jaxloop.features.network import Network
from jaxloop.types import Array, PyTree
from jaxloop.weights import files, state_dict

FIELD = "config.measure.inception"
FORMAT = "jaxloop-inception/1"
FILE = "pt_inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{FILE}"
# Of this file, and of torch-fidelity's.
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
COMMAND = "python -m jaxloop.features.inception convert"
NETWORK = "weights of this Inception-V3"
RESIZES = {"tf": resizing.tensorflow1, "clean": resizing.bicubic}
IGNORED = r"fc\.bias|AuxLogits\..*|.*\.num_batches_tracked"


def load(path: str | os.PathLike, resize: str = "tf") -> Network:
    """Return the network with the weights in a converted file, d = 2048, before the head.

    resize: "tf", as torch-fidelity and the first FID: TensorFlow 1's bilinear interpolation to
      299x299. "clean", as clean-fid (Parmar et al. 2022, arXiv:2104.11222): PIL's antialiased
      bicubic filter to 299x299, a channel at a time in float32, clipped to [0, 255] and not
      rounded. After either, (pixel - 128) / 128.

    Raises InputError: no file, or none that `convert` made, whole and of this network.
    """
    path = str(path)
    if not path.endswith(files.SUFFIX) or not Path(path).is_file():
        target = Path(path).with_suffix(files.SUFFIX) if path else "inception.safetensors"
        command = f"{COMMAND} {FILE} {shlex.quote(str(target))}"
        allowed = f"a file of Inception-V3's weights: download {URL} and run `{command}`"
        raise InputError(FIELD, path, allowed)
    sha256 = files.describe(path, FIELD, COMMAND, FORMAT, {})["sha256"]
    variables = files.variables(path, FIELD)
    files.check_tensors(FIELD, path, NETWORK, files.flat(variables), files.flat(shapes()))
    return Network("inception", DIM, resize, sha256, variables, functools.partial(embed, resize))


def embed(resize: str, variables: PyTree, image: Array) -> Any:
    """Embed uint8 [n h w 3]: float32 [n 2048]."""
    return InceptionV3().apply(variables, scaled(resize, image))


def scaled(resize: str, image: Array | np.ndarray) -> Array:
    """Resize and scale uint8 [n h w 3] to the network's float32 [n 299 299 3] in [-1, 1)."""
    rows, columns = (RESIZES[resize](side, SIDE) for side in image.shape[1:3])
    pixels = resizing.apply(rows, columns, jnp.asarray(image, jnp.float32))
    pixels = jnp.clip(pixels, 0, 255) if resize == "clean" else pixels
    return (pixels - 128) / 128


@functools.cache
def shapes() -> PyTree:
    """Return the shapes of the network's variables; computes nothing."""
    image = jnp.zeros((1, SIDE, SIDE, 3))
    return jax.eval_shape(lambda: InceptionV3().init(keys.root_key(0), image))


def convert(source: Path, target: Path) -> str:
    """Convert pytorch-fid's file or torch-fidelity's, write `target`, and return a line about it.

    Raises InputError: a file that cannot be read or written; the first tensor that is missing,
    misshapen or none of the network's.
    """
    # The head, of 1008 classes, is not kept: it tells the network from torchvision's of 1000.
    head = jax.ShapeDtypeStruct((DIM, 1008), np.float32)
    wanted = files.flat(shapes()) | {"params/fc/kernel": head}
    names = {path: state_dict.key(path.partition("/")[2]) for path in wanted}
    refusal = "IN", str(source), NETWORK
    state = state_dict.read(source)
    variables = state_dict.to_variables(state, names, wanted, refusal, IGNORED)
    del variables["params"]["fc"]
    sha256 = files.sha256(source)
    files.write(target, {"format": FORMAT, "source": source.name, "sha256": sha256}, variables)
    other = f"other weights than the published ones, whose sha256 is {SHA256}"
    known = "as published" if sha256 == SHA256 else other
    return f"Inception-V3 from {source.name}, sha256 {sha256}, {known}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    return files.convert_command(COMMAND, convert, f"the file at {URL}", argv)


if __name__ == "__main__":
    sys.exit(main())
