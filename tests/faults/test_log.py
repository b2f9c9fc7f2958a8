"""A log that was cut short, deleted or mixed up in the middle of a run is noticed at the resume."""

import pytest

from jaxloop import records
from jaxloop.errors import InputError
from jaxloop.loop import advance, stages
from jaxloop.run import player
from jaxloop.run.interruption import SignalFlag

ROWS = [
    {"seed": 0, "generation": g, "subject": "lenet", "metric": "group_accuracy", "group": k}
    | {"value": 0.5}
    for g in range(3)
    for k in range(2)
]


def test_a_log_that_grew_or_whose_values_were_made_again_is_as_before(tmp_path):
    before = records.stamp(ROWS[:4])
    again = [{**row, "value": 0.25} for row in ROWS]
    for rows in (ROWS[:4], ROWS, again):
        records.require(rows, before, tmp_path)


@pytest.mark.parametrize("rows", [[], ROWS[:3], ROWS[1:], [*ROWS[:2], ROWS[3], ROWS[2], *ROWS[4:]]])
def test_others_are_refused_with_counts(tmp_path, rows):
    there = "others" if len(rows) >= 4 else str(len(rows))
    with pytest.raises(InputError, match=f"the 4 records .* {there} are there: put the file back"):
        records.require(rows, records.stamp(ROWS[:4]), tmp_path / "records.jsonl")


def test_a_player_goes_on_with_the_log_that_it_left_alone(tiny_experiment, tmp_path):
    built = stages.build(tiny_experiment)
    for name in ("predictions", "samples", "provenance", "images"):
        (tmp_path / name).mkdir()
    arm = player.Run(tmp_path, tiny_experiment, built, [])
    state = advance.initial(tiny_experiment, built)
    for cut in (False, True):
        rows = ROWS[:2] if cut else ROWS
        records.write(arm.log, rows)
        one = player.Player(arm, SignalFlag())
        if not cut:
            one._save(state, wait=True)
            one.checkpoints.close()
            continue
        with pytest.raises(InputError, match="6 records of the last checkpoint; 2 are there"):
            one.play()
        one.checkpoints.close()
