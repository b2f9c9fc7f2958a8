"""The class tables of the four BREEDS data sets: superclasses of ImageNet, and their subclasses.

Santurkar, Tsipras and Madry, "BREEDS: Benchmarks for Subpopulation Shift" (2021), arXiv:2008.04859

A superclass is a node at a fixed depth of the authors' hierarchy, with at least as many ImageNet
classes below it as the data set takes of each. The authors' code then draws that many at random,
with seed 2 of NumPy's RandomState. The tables hold what it draws with `split=None`. These are also
the subclasses of its split "rand". Its splits "good" and "bad" choose others: they are not here.
"""

import functools
import json
from importlib import resources

from jaxloop.errors import InputError

NAMES = ("entity13", "entity30", "living17", "nonliving26")

Table = tuple[tuple[str, tuple[str, ...]], ...]


@functools.cache
def table(name: str) -> Table:
    """Return the superclasses of a data set with the WordNet ids of their subclasses.

    Args:
      name: one of `NAMES`.

    Returns:
      A pair (superclass, ids) for each of the 13, 30, 17 or 26 superclasses, in the authors' order:
      ascending by the id of its node in the hierarchy. A superclass has the first name of its node.
      The 20, 8, 4 or 4 ids, as "n01629276", are in the order drawn: the first half is the source
      domain of the split "rand", the second half its target domain.

    Raises:
      InputError: there is no such data set.
    """
    if name not in NAMES:
        raise InputError("the name of a BREEDS table", name, NAMES)
    return tuple(
        (superclass, tuple(subclasses)) for superclass, subclasses in _read()[name].items()
    )


def names() -> dict[str, str]:
    """Return the name of each WordNet id in the tables: the first of ImageNet's synonyms."""
    rows = (subclasses for superclasses in _read().values() for subclasses in superclasses.values())
    return {wnid: name for subclasses in rows for wnid, name in subclasses.items()}


@functools.cache
def _read() -> dict[str, dict[str, dict[str, str]]]:
    """Return name of the table -> superclass -> WordNet id -> its name, each in order."""
    text = resources.files("jaxloop.data").joinpath("breeds_tables.json").read_text("utf-8")
    return json.loads(text)
