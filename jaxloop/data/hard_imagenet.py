"""Prepares the index of Hard ImageNet that `data.path` names.

    python -m jaxloop.data.hard_imagenet prepare IMAGENET MASKS OUT.json

IMAGENET holds {train,val}/WNID/FILE, MASKS holds {train,val}/WNID_FILE, one for each picture of the
set.
"""

import json
import sys
from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path

from jaxloop import files
from jaxloop.data import imagenet, paths, pictures
from jaxloop.data.hard_imagenet_index import CLASSES, FORMAT, masks_of, opened_mask, pictures_of
from jaxloop.data.imagenet import SPLITS
from jaxloop.errors import EXIT_CODE, InputError


def prepare(root: Path, masks: Path, out: Path) -> str:
    """Write the index of the pictures that have masks, and return what it holds, in a sentence.

    Raises InputError where a mask has no picture, a class none, or files cannot be decoded or do
    not fit each other: they are counted, and the first is named.
    """
    index: dict = {"format": FORMAT, "imagenet": str(root.resolve()), "masks": str(masks.resolve())}
    unmasked, counts, faults = 0, {}, []
    for name in SPLITS:
        index[name] = {}
        present = {path.name for path in paths.entries(masks / name)}
        for wnid, _ in CLASSES:
            found = imagenet.listed(root / name / wnid)[0]
            index[name][wnid] = chosen = [f for f in found if f"{wnid}_{f}" in present]
            alone = present & {f"{wnid}_{f}" for f in found}
            unmasked += len(found) - len(chosen)
            faults += sorted(
                f"{masks / name / mask} (no picture of it)"
                for mask in present - alone
                if mask.startswith(f"{wnid}_")
            )
            words = f"a class with masks: there is none for {len(found)} pictures"
            paths.require(bool(chosen), root / name / wnid, words)
        counts[name] = sum(map(len, index[name].values()))
    faults += [fault for name in SPLITS for fault in _faults(index, name)]
    words = f"pictures and masks that can be decoded and have one size; {len(faults):,} are not so"
    paths.require(not faults, faults[0] if faults else "", words)
    files.write_atomic(out, json.dumps(index, indent=0).encode())
    return (
        f"{counts['train']:,} pictures for training, {counts['val']:,} for test; "
        f"{unmasked:,} pictures of these classes have no mask and are left out"
    )


def _faults(index: dict, name: str) -> list[str]:
    """Return what is wrong with the pictures and masks of a split, in their order."""

    def fault(pair: tuple[Path, Path]) -> str:
        picture, mask = pair
        try:
            size, of_mask = pictures.size_of(picture), opened_mask(mask).size
        except InputError as error:
            return f"{error.value} ({error.allowed})"
        return "" if size == of_mask else f"{mask} ({of_mask} pixels for {size} of its picture)"

    pairs = list(zip(pictures_of(index, name), masks_of(index, name), strict=True))
    with ThreadPool(pictures.THREADS) as pool:
        return list(filter(None, pool.imap(fault, pairs)))


def main(argv: Sequence[str]) -> int:
    """Run the command line; return the exit code."""
    if len(argv) != 4 or argv[0] != "prepare":
        print(__doc__, file=sys.stderr)
        return EXIT_CODE
    try:
        print(prepare(*map(Path, argv[1:])))
    except InputError as error:
        files.say(str(error), sys.stderr)
        return EXIT_CODE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
