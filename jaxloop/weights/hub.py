"""Published weights by their name on the hub, huggingface.co, as `timm/resnet50.tv_in1k`."""

import re
from collections.abc import Sequence
from pathlib import Path

from jaxloop.errors import InputError, refusing

FIELD = "config.classifier.pretrained"
FILE = "model.safetensors"

# timm's name of a network, a hub name without owner and tag -> jaxloop's. timm has no AlexNet.
ARCHITECTURES = {
    "vgg19": "vgg19",
    "resnet50": "resnet50",
    "mobilenetv3_large_100": "mobilenet_v3_large",
    "mobilenetv3_small_100": "mobilenet_v3_small",
    "deit_small_patch16_224": "deit_small",
}
# Tags trained on images that were not normalised with ImageNet's mean and deviation.
OTHERWISE_NORMALISED = ("miil_in21k", "miil_in21k_ft_in1k", "ra4_e3600_r224_in1k")


def require(ok: bool, entry: str, allowed: str) -> None:
    """Raise InputError for an entry of `FIELD` unless `ok`."""
    if not ok:
        raise InputError(FIELD, entry, allowed)


def is_name(entry: str) -> bool:
    """Return whether an entry reads as owner/name, and not as a file."""
    suffixes = (".safetensors", ".pth", ".pt")
    name = re.fullmatch(r"[\w.-]+/[\w.-]+", entry) and not entry.endswith(suffixes)
    return bool(name) and not Path(entry).exists()


def architecture(entry: str) -> str:
    """Return the network of a hub name. Raises InputError before anything is fetched."""
    name, _, tag = entry.partition("/")[2].partition(".")
    names = ", ".join(ARCHITECTURES)
    require(name in ARCHITECTURES, entry, f"files that exist, or hub names of timm's {names}")
    allowed = f"weights trained on images normalised as ImageNet's; {tag}'s were not"
    require(tag not in OTHERWISE_NORMALISED, entry, allowed)
    return ARCHITECTURES[name]


def fetch(
    name: str, field: str, alternative: str, weights: Sequence[str] = (FILE,), others=()
) -> Path:
    """Fetch files of a hub name into the hub's cache, unless they are there; return the folder.

    alternative: what else than a hub name the `field` takes, in words.
    weights: names of files; the first that exists is fetched, as each may be gigabytes.
    others: names of files that are fetched where they exist.

    Raises InputError for the `name` that was given as `field`.
    """
    import huggingface_hub  # here, because its import takes half a second

    huggingface_hub.logging.set_verbosity_error()  # it warns of every retry
    folder = Path()
    # Errors are of three libraries' kinds: no network, no such name, a full disk.
    with refusing(field, name, f"{alternative}, or a hub name whose files can be fetched"):
        for file in weights:
            patterns = [*others, file]
            folder = Path(huggingface_hub.snapshot_download(name, allow_patterns=patterns))
            if (folder / file).exists():
                break
    return folder
