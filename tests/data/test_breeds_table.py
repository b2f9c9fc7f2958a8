"""The tables of BREEDS, against the authors' hierarchy and what they print of Living-17."""

import json
import re
import tarfile
from collections import Counter, defaultdict
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from jaxloop.data import breeds_table
from jaxloop.errors import InputError

REAL = Path(__file__).parents[3] / "shared" / "data" / "breeds"
TINY = REAL.parent / "tiny_imagenet.tar"
ROOT = "n00001740"

SIZES = {"entity13": (13, 20), "entity30": (30, 8), "living17": (17, 4), "nonliving26": (26, 4)}

# Depth of the superclasses, and the node that they are below, as in the paper.
DEFINITIONS = {
    "entity13": (3, ROOT),
    "entity30": (4, ROOT),
    "living17": (5, "n00004258"),
    "nonliving26": (5, "n00021939"),
}

# Rows of Living-17 as the notebook of github MadryLab/BREEDS-Benchmarks prints them: its split
# "rand", source then target. One generator draws all rows, so the last one is right if all are.
PRINTED = {
    0: ("salamander", ["eft", "axolotl", "common newt", "spotted salamander"]),
    8: ("dog", ["bloodhound", "Pekinese", "Great Pyrenees", "papillon"]),
    16: ("monkey", ["marmoset", "titi", "spider monkey", "howler monkey"]),
}

every_table = pytest.mark.parametrize("name", breeds_table.NAMES)


def wnids_of(name):
    return [wnid for _, wnids in breeds_table.table(name) for wnid in wnids]


@every_table
def test_sizes(name):
    superclass_count, subclass_count = SIZES[name]
    counts = [len(wnids) for _, wnids in breeds_table.table(name)]
    assert counts == [subclass_count] * superclass_count


@every_table
def test_each_superclass_has_a_name_of_its_own(name):
    superclasses = [superclass for superclass, _ in breeds_table.table(name)]
    assert len(set(superclasses)) == SIZES[name][0]
    assert all(superclass and "," not in superclass for superclass in superclasses)


@every_table
def test_each_subclass_is_in_one_superclass(name):
    counts = Counter(wnids_of(name))
    assert [wnid for wnid, count in counts.items() if count > 1] == []
    assert all(re.fullmatch(r"n\d{8}", wnid) for wnid in counts)


def test_the_file_repeats_no_key_and_gives_each_wnid_one_name():
    """Read without dictionaries, which pass over what is there twice."""
    text = resources.files("jaxloop.data").joinpath("breeds_tables.json").read_text("utf-8")
    tables = json.loads(text, object_pairs_hook=tuple)
    rows = [row for _, superclasses in tables for row in superclasses]
    for pairs in (
        tables,
        *(superclasses for _, superclasses in tables),
        *(subclasses for _, subclasses in rows),
    ):
        keys = [key for key, _ in pairs]
        assert len(keys) == len(set(keys))
    named = {pair for _, subclasses in rows for pair in subclasses}
    assert len(named) == len(breeds_table.names())


def test_names():
    names = breeds_table.names()
    assert set(names) == {wnid for name in breeds_table.NAMES for wnid in wnids_of(name)}
    assert names["n04479046"] == "trench coat"
    assert len(set(names.values())) == len(names)  # no two classes share one
    names.clear()
    assert breeds_table.names()  # what a caller does to it stays with the caller


def test_rows_that_the_authors_print():
    rows, names = breeds_table.table("living17"), breeds_table.names()
    for index, expected in PRINTED.items():
        superclass, wnids = rows[index]
        assert (superclass, [names[wnid] for wnid in wnids]) == expected


def test_an_unknown_name():
    with pytest.raises(
        InputError,
        match=r"'living18' is refused; allowed: one of entity13, entity30, living17, nonliving26",
    ):
        breeds_table.table("living18")


@pytest.fixture(scope="module")
def hierarchy():
    """The parent of each node, the first name of each node, and the name of each class."""
    if not REAL.is_dir():
        pytest.skip("needs the hierarchy of BREEDS, ../shared/data/breeds")
    edges = [line.split() for line in (REAL / "class_hierarchy.txt").read_text().splitlines()]
    parent_of = {child: parent for parent, child in edges}
    assert len(parent_of) == len(edges)  # a tree: depth is the length of the only path
    lines = (REAL / "node_names.txt").read_text().splitlines()
    node_names = {node: first(name) for node, name in (line.split("\t") for line in lines)}
    classes = json.loads((REAL / "dataset_class_info.json").read_text())
    return parent_of, node_names, {wnid: first(name) for _, wnid, name in classes}


def first(synonyms):
    return synonyms.split(",")[0]


def path_to(node, parent_of):
    """The nodes from the root down to this one; a class outside the hierarchy is alone."""
    path = [node]
    while path[0] in parent_of:
        path.insert(0, parent_of[path[0]])
    return path


def derive(hierarchy, level, subclass_count, ancestor):
    """The table by its definition: group classes by their node at this level, and draw of each."""
    parent_of, node_names, class_names = hierarchy
    members = defaultdict(list)
    for wnid in sorted(class_names):
        path = path_to(wnid, parent_of)
        if ancestor in path and len(path) > level:
            members[path[level]].append(wnid)
    rng = np.random.RandomState(2)
    return tuple(
        (node_names[node], tuple(rng.choice(members[node], subclass_count, replace=False).tolist()))
        for node in sorted(members)
        if len(members[node]) >= subclass_count
    )


@every_table
def test_derived_again_from_the_hierarchy(name, hierarchy):
    level, ancestor = DEFINITIONS[name]
    assert derive(hierarchy, level, SIZES[name][1], ancestor) == breeds_table.table(name)


def test_names_are_those_of_the_classes(hierarchy):
    class_names = hierarchy[2]
    assert breeds_table.names() == {wnid: class_names[wnid] for wnid in breeds_table.names()}


def test_photographs_of_six_superclasses():
    """Real pictures of four subclasses each are all within Entity-13."""
    if not TINY.is_file():
        pytest.skip("needs photographs of Entity-13, ../shared/data/tiny_imagenet.tar")
    with tarfile.open(TINY) as archive:
        sampled = {part for path in archive.getnames() for part in re.findall(r"n\d{8}(?=/)", path)}
    counts = {
        superclass: len(sampled.intersection(wnids))
        for superclass, wnids in breeds_table.table("entity13")
    }
    assert len(sampled) == 24
    assert {superclass: count for superclass, count in counts.items() if count} == dict.fromkeys(
        ("garment", "arthropod", "accessory", "instrument", "man-made structure", "produce"), 4
    )
