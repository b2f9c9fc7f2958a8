"""BREEDS (Santurkar, Tsipras & Madry 2021, arXiv:2008.04859): superclasses of ImageNet,
whose classes are subgroups. Photographs come from an ordinary ImageNet folder."""

from pathlib import Path

from jaxloop.data import breeds_table, imagenet, paths
from jaxloop.data.breeds_table import Table
from jaxloop.data.imagenet import Cell
from jaxloop.spec import Data
from jaxloop.types import Dataset

FEWEST = 2  # subclasses, without which a class has no difference between subgroups


def load(data: Data) -> Dataset:
    """Return the data set that `data.name` names, one of `breeds_table.NAMES`.

    `data.path` is an ImageNet folder. The label is the superclass, the group the subclass's place
    in its row of the table. Pictures are resized so that the short side is 8/7 of `image_size`
    (256 of 224), and cropped at the centre.

    Raises InputError where classes are missing, unless `data.partial`.
    """
    root, table = Path(data.path), breeds_table.table(data.name)
    paths.require(bool(data.path) and root.is_dir(), data.path, f"a folder: {imagenet.LAYOUT}")
    present, partial = imagenet.wnids(root), ()
    missing = [wnid for _, row in table for wnid in row if wnid not in present]
    if missing:
        left = _partial(table, present)
        possible = f"data.partial=True takes the {len(left)} with {FEWEST} subclasses or more"
        words = f"{len(missing)} of its {sum(len(row) for _, row in table)} ImageNet classes are "
        words += f"missing in train/ or val/, the first {missing[0]}"
        paths.require(data.partial, root, f"all of {data.name}: {words}; {possible}")
        paths.require(len(left) > 1, root, f"two classes of {data.name} at least: {words}")
        table = left
        partial = (
            f"A part of {data.name}: {len(left)} of {len(breeds_table.table(data.name))} classes, "
            f"and {sum(len(row) for _, row in left)} subclasses, are in the folder.",
        )
    cells = [
        Cell(wnid, label, group)
        for label, (_, row) in enumerate(table)
        for group, wnid in enumerate(row)
    ]
    names = breeds_table.names()
    notes = (
        *partial,
        "Subgroup k is the k-th subclass of its class; pooled over classes it has no meaning, so "
        "read the per-class measures.",
    )
    most = max(len(row) for _, row in table)
    return imagenet.dataset(
        root, cells, data.image_size, notes,
        class_names=tuple(name for name, _ in table),
        group_names=tuple(f"subclass {k + 1}" for k in range(most)),
        subgroup_names=tuple(tuple(names[wnid] for wnid in row) for _, row in table),
    )  # fmt: skip


def _partial(table: Table, present: set[str]) -> Table:
    """Return the classes with at least FEWEST subclasses that are present, and these alone."""
    rows = ((name, tuple(wnid for wnid in row if wnid in present)) for name, row in table)
    return tuple((name, row) for name, row in rows if len(row) >= FEWEST)
