"""Low-rank adaptation of a frozen network (Hu et al. 2021, arXiv:2106.09685), as trees beside it.

A LoRA has the structure of the network's parameters, with {"down": [in r], "up": [r out]} in the
place of a dense layer's kernel. It adds alpha / r down up to that kernel. `up` starts at zero.

    python -m jaxloop.generators.lora export WORKDIR --generation N --seed S OUT.safetensors

writes what a generation trained for torch diffusers' `load_lora_weights`.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy

from jaxloop import keys
from jaxloop.errors import EXIT_CODE, InputError
from jaxloop.files import write_atomic
from jaxloop.types import Array, PyTree
from jaxloop.weights import files, state_dict

KERNEL = "/kernel"
STYLES = "metadata", "alpha", "folded"
HEADER = "lora_adapter_metadata"  # entry of a file's metadata, of diffusers' own style
KOHYA = {"unet": "lora_unet_", "text_encoder": "lora_te_"}
# Of the names of the two matrices: kohya's, peft's, and two that diffusers has written.
ENDS = (
    ("lora_down", "lora_up"),
    ("lora_A", "lora_B"),
    ("lora.down", "lora.up"),
    ("lora_linear_layer.down", "lora_linear_layer.up"),
)


def layers(params: PyTree, targets: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return {path: [in out]} of the dense layers whose names end with one of `targets`."""
    ends = tuple(f".{target}" for target in targets)
    dense = {
        path.removesuffix(KERNEL): kernel.shape
        for path, kernel in files.flat(params).items()
        if path.endswith(KERNEL) and kernel.ndim == 2
    }
    return {path: shape for path, shape in dense.items() if state_dict.key(path).endswith(ends)}


def init(key: Array, params: PyTree, rank: int, targets: Sequence[str]) -> PyTree:
    """Return a new LoRA of `layers(params, targets)`.

    `down` is drawn from N(0, 1 / rank^2), as by peft's "gaussian".
    """
    lora = {}
    for path, (rows, columns) in layers(params, targets).items():
        (layer_key,) = keys.parts(key, state_dict.key(path))
        lora[f"{path}/down"] = jax.random.normal(layer_key, (rows, rank)) / rank
        lora[f"{path}/up"] = jnp.zeros((rank, columns))
    return files.nested(lora)


def scaled(lora: PyTree, alpha: float) -> PyTree:
    """Return the collection "lora" that a network adds: `up` times alpha / rank."""
    flat = files.flat(lora)
    ups = {p: x * (alpha / x.shape[0]) for p, x in flat.items() if p.endswith("/up")}
    return files.nested(flat | ups)


def merge(params: PyTree, lora: PyTree, alpha: float) -> PyTree:
    """Return the parameters with the LoRA in them."""
    flat, added = files.flat(params), files.flat(scaled(lora, alpha))
    for path, up in added.items():
        if path.endswith("/up"):
            layer = path.removesuffix("/up")
            kernel = flat[layer + KERNEL]
            product = jnp.matmul(added[f"{layer}/down"], up, precision="highest")
            flat[layer + KERNEL] = (kernel + product).astype(kernel.dtype)
    return files.nested(flat)


# Files


def named(loras: Mapping[str, PyTree]) -> dict[str, np.ndarray]:
    """Return {"unet.LAYER.down": [in r], ...} by torch's names of layers, in NumPy.

    loras: "unet" and, where it has one, "text_encoder" -> LoRA.
    """
    return {
        f"{part}.{state_dict.key(path)}": np.asarray(x, np.float32)
        for part, lora in loras.items()
        for path, x in files.flat(lora).items()
    }


def encode(matrices: Mapping[str, np.ndarray], alpha: float, style: str) -> bytes:
    """Return a safetensors file that torch diffusers' `load_lora_weights` reads.

    matrices: of `named`.
    style: where alpha goes. "metadata": into the file's header, as diffusers writes it since 0.34;
      "alpha": a tensor a layer, with kohya's names; "folded": alpha / rank into the matrices.
    """
    tensors, ranks = {}, {}
    for name in (n.removesuffix(".down") for n in matrices if n.endswith(".down")):
        down, up = matrices[f"{name}.down"], matrices[f"{name}.up"]
        part, _, layer = name.partition(".")
        ranks.setdefault(part, {})[layer] = rank = down.shape[1]
        stem, ends = name, ENDS[1]
        if style == "alpha":
            stem, ends = KOHYA[part] + layer.replace(".", "_"), ENDS[0]
            tensors[f"{stem}.alpha"] = np.float32(alpha)
        up = up * np.float32(alpha / rank) if style == "folded" else up
        for end, x in zip(ends, (down, up), strict=True):
            tensors[f"{stem}.{end}.weight"] = np.ascontiguousarray(x.T)
    metadata = {"format": "pt"}
    if style == "metadata":
        # diffusers raises KeyError without the two patterns.
        header = {
            f"{part}.{name}": value
            for part, rank in ranks.items()
            for name, value in {
                "r": next(iter(rank.values())), "lora_alpha": alpha, "target_modules": sorted(rank),
                "rank_pattern": {}, "alpha_pattern": {},
            }.items()
        }  # fmt: skip
        # One entry alone: several are written in any order, other bytes of the same LoRA.
        metadata = {HEADER: json.dumps(header, sort_keys=True)}
    return safetensors.numpy.save({n: np.asarray(x) for n, x in tensors.items()}, metadata)


def read(path: Path, trees: Mapping[str, PyTree], field: str = "IN") -> dict[str, dict[str, Any]]:
    """Return the LoRAs in a file of any style, by part, with alpha folded into `up`.

    trees: "unet", "text_encoder" -> the parameters, or shapes, that they are of.
    Raises InputError: no safetensors file, or a tensor of no layer of these.
    """
    metadata, tensors = files.read_safetensors(path, field, path)
    header = json.loads(metadata.get(HEADER, "{}"))
    loras: dict[str, dict[str, Any]] = {part: {} for part in trees}
    left = dict(tensors)
    for part, params in trees.items():
        for layer in (p.removesuffix(KERNEL) for p in files.flat(params) if p.endswith(KERNEL)):
            name = state_dict.key(layer)
            kohya = KOHYA[part] + name.replace(".", "_")
            for ends in ENDS:
                stem = kohya if ends == ENDS[0] else f"{part}.{name}"
                if f"{stem}.{ends[0]}.weight" not in left:
                    continue
                down, up = (left.pop(f"{stem}.{end}.weight").T for end in ends)
                rank = down.shape[1]
                alpha = left.pop(f"{stem}.alpha", header.get(f"{part}.lora_alpha", rank))
                loras[part] |= {f"{layer}/down": down, f"{layer}/up": up * (float(alpha) / rank)}
    if left:
        allowed = f"a LoRA of this pipeline; {next(iter(left))} is of none of its layers"
        raise InputError(field, str(path), allowed)
    return {part: files.nested(lora) for part, lora in loras.items()}


# The command


def path_of(workdir: Path, generation: int, seed: int) -> Path:
    """Return where a run keeps the LoRA of a generation and seed."""
    return workdir / "lora" / f"g{generation:02d}_s{seed}.safetensors"


def export(workdir: Path, generation: int, seed: int, out: Path, style: str) -> str:
    """Write the LoRA of a generation of a run to `out`; return the line to print.

    Raises InputError: the run has none of that generation and seed, or `out` cannot be written.
    """
    path = path_of(workdir, generation, seed)
    if not path.is_file():
        there = sorted(p.stem for p in path.parent.glob("g*.safetensors"))
        allowed = f"a run that trained a LoRA there; it has {', '.join(there) or 'none'}"
        raise InputError("WORKDIR", str(workdir), allowed)
    if out.suffix != files.SUFFIX:
        raise InputError("OUT", str(out), f"a path that ends in {files.SUFFIX}")
    metadata, tensors = files.read_safetensors(path, "WORKDIR", workdir)
    header, ends = json.loads(metadata[HEADER]), {"A": "down", "B": "up"}
    matrices = {
        re.sub(r"lora_([AB])\.weight$", lambda match: ends[match[1]], name): x.T
        for name, x in tensors.items()
    }
    alpha = header["unet.lora_alpha"]
    write_atomic(out, encode(matrices, alpha, style))
    return f"{len(matrices) // 2} layers of rank {header['unet.r']}, alpha {alpha:g}: {out}"


def main(argv: Sequence[str] | None = None) -> int:
    prog, layout = "python -m jaxloop.generators.lora", argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog=prog, description=__doc__, formatter_class=layout)
    parser.add_argument("command", choices=["export"])
    parser.add_argument("workdir", type=Path, metavar="WORKDIR")
    parser.add_argument("--generation", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--style", choices=STYLES, default=STYLES[0], help="where alpha goes")
    parser.add_argument("out", type=Path, metavar="OUT")
    arguments = vars(parser.parse_args(argv))
    del arguments["command"]
    try:
        print(export(**arguments))
    except (InputError, OSError) as error:
        print(f"jaxloop: {error}", file=sys.stderr)
        return EXIT_CODE
    return 0


if __name__ == "__main__":
    sys.exit(main())
