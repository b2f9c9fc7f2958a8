import re

import pytest

from jaxloop.analysis import rater_agreement as people
from jaxloop.analysis import run_folder as workdir
from jaxloop.provenance import votes
from jaxloop.report import rendering
from jaxloop.statistics import newcombe

TIME = "2026-01-31T12:00:00+00:00"


def sentences(voted):
    """What the page says."""
    macro = rendering.ENVIRONMENT.get_template("words.html").module.voted
    return [said.strip() for said in re.findall("<li>(.*?)</li>", macro(voted), re.DOTALL)]


def vote(folder, rater, number, verdict, real, blind=True):
    place = (None, None) if real else (1, 0)
    picture = f"{'r' if real else 'g'}{number}"
    votes.append(folder, votes.Vote(TIME, rater, picture, 0, verdict, real, *place, number, blind))


@pytest.fixture
def voted(make_workdir):
    """zoe tells generated (40) from real (20) images nine times out of ten; ada says "drop" of
    every other image.
    """
    folder = make_workdir()
    for real, num in ((False, 40), (True, 20)):
        for number in range(num):
            vote(folder, "zoe", number, "drop" if real is (number % 10 == 0) else "keep", real)
            vote(folder, "ada", number, "drop" if number % 2 else "keep", real)
    vote(folder, "bob", 0, "keep", True)
    vote(folder, "bob", 0, "undo", True)  # he has no vote that stands
    return workdir.load(folder)


def test_who_tells_generated_from_real(voted):
    found = people.people(voted)
    assert (len(found.raters), found.num_generated, found.num_real) == (2, 80, 40)
    table = people.table(found)
    low, high = newcombe(36, 40, 2, 20)
    name, word, accuracy, interval, *others = table.iloc[1]
    assert (name, word, others) == ("rater 2", "better", [0.9, 0.1, 40, 20])
    assert accuracy == pytest.approx(0.9)
    assert interval == pytest.approx(((1 + low) / 2, (1 + high) / 2))
    assert table.iloc[0, :3].tolist() == ["rater 1", "cannot tell", 0.5]
    assert table.iloc[2, :3].tolist() == ["all together", None, pytest.approx(0.7)]
    said = sentences(found)
    assert (
        said[0] == "2 raters, 80 blind votes on generated and 40 on real images." and len(said) == 3
    )
    assert "60 images with votes of two raters or more" in said[1]
    assert said[2] == "Generated from real: 1 of 2 raters told them apart better than chance."


def test_votes_that_are_not_blind_are_counted_and_judge_nothing(voted):
    """ada, who cannot tell, drops every generated image once the audit has shown her which are
    generated.
    """
    before = people.people(voted)
    for number in range(40):
        vote(voted.path, "ada", number, "drop", False, blind=False)
    found = people.people(voted)
    assert found == before._replace(num_not_blind=40)
    assert not found.raters[0].differs and found.raters[0].accuracy == 0.5
    assert sentences(found)[3] == (
        "40 votes that stand, given after a look at the audit or the summary, were not blind: "
        "the filter follows them, "
        "the lines above do not."
    )
    only = (
        "1 vote that stands, given after a look at the audit or the summary, was not blind: the "
        "filter follows it, the"
    )
    assert sentences(found._replace(num_not_blind=1))[3].startswith(only)


def test_lines_that_were_cut_short_are_told(voted):
    file = voted.path / votes.FILE
    whole = file.read_text()
    file.write_text(whole + '{"time": "2026-\n' + whole[: whole.index("\n") // 2])
    found = people.people(voted)
    assert found.torn == votes.tally(voted.path).torn == 2 and found.num_generated == 80
    assert sentences(found)[-1] == "2 lines of votes.jsonl were not whole and left out."
    file.write_text('{"time": "2026-')
    assert sentences(people.people(voted)) == [
        "0 raters, 0 blind votes on generated and 0 on real images.",
        "Agreement: No image has votes of two raters.",
        "Generated from real: No generated and no real image has a vote.",
        "1 line of votes.jsonl was not whole and left out.",
    ]


def test_names_stay_out(voted):
    found = people.people(voted)
    shown = " ".join(sentences(found)) + people.table(found).to_string()
    assert "zoe" not in shown and "ada" not in shown


def test_one_rater_alone(make_workdir):
    folder = make_workdir()
    for number in range(30):
        vote(folder, "zoe", number, "keep", False)
        vote(folder, "zoe", number, "drop", True)
    found = people.people(workdir.load(folder))
    assert people.table(found).iloc[:, :2].to_numpy().tolist() == [["rater 1", "worse"]]
    assert sentences(found)[1] == "Agreement: No image has votes of two raters."
    assert "0 of 1 rater told them apart better than chance, and 1 worse" in sentences(found)[2]


def test_no_votes(make_workdir):
    folder = make_workdir()
    assert people.people(workdir.load(folder)) is None
    vote(folder, "zoe", 0, "keep", False)
    vote(folder, "zoe", 0, "undo", False)
    assert people.people(workdir.load(folder)) is None
