"""Tables for people as DataFrames whose cells are values; how they are written is the report's."""

from collections.abc import Iterable, Sequence

import pandas as pd


def for_people(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence],
    num_words: int = 1,
    digits: int = 3,
    signed: Sequence[str] = (),
) -> pd.DataFrame:
    """Return rows with what is needed to write them in `attrs`.

    Args:
      columns: heads; "p" is a p value.
      rows: cells: words, counts, numbers, `Estimate`s, (low, high) intervals, (value, low, high),
        or None where there is no value.
      num_words: columns of words, from the left.
      digits: decimals.  signed: heads of columns whose numbers bear a sign.
    """
    frame = pd.DataFrame([list(row) for row in rows], columns=list(columns), dtype=object)
    frame.attrs = {
        "caption": caption, "num_words": num_words, "digits": digits, "signed": list(signed),
    }  # fmt: skip
    return frame


def holm_note(num: int) -> str:
    """Say what the verdicts of a table are corrected for."""
    return f"verdict and p corrected for {num} verdicts (Holm)"
