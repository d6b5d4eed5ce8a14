"""How far a command is, and how long it still takes."""

import pytest

from pfungst.cli import _progress
from pfungst.cli._progress import Pace, clock, progress_bar


def test_the_time_left_is_the_mean_time_of_what_was_done():
    pace = Pace(began=100.0)
    assert pace.left(101.0) is None
    pace.report(1, 5, 110.0)
    assert pace.left(110.0) == pytest.approx(40.0)
    pace.report(2, 5, 116.0)
    assert pace.left(116.0) == pytest.approx(24.0)
    assert pace.left(120.0) == pytest.approx(20.0), "it runs down while nothing is reported"


def test_a_unit_that_takes_long_is_not_hidden():
    pace = Pace(began=0.0)
    pace.report(1, 6, 30.0)
    assert pace.left(30.0) == pytest.approx(150.0)
    # the second of six has been going on for 150 s already
    assert pace.left(180.0) == pytest.approx(90.0 * 5 - 150.0)


def test_what_was_there_already_tells_nothing_of_the_rest():
    pace = Pace(began=0.0)
    pace.report(90, 100, 0.5)
    assert pace.left(0.5) is None
    pace.report(91, 100, 10.5)
    assert pace.left(10.5) == pytest.approx(90.0)


def test_the_end_is_the_end():
    pace = Pace(began=0.0)
    pace.report(1, 2, 3.0)
    pace.report(2, 2, 6.0)
    assert pace.left(60.0) == 0.0


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0:00"), (7, "0:07"), (61.6, "1:02"), (3723, "1:02:03")])
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_a_line_for_each_stage_where_there_is_no_terminal(capsys):
    with progress_bar() as progress:
        for done in range(1, 4):
            progress("survey", done, 3)
        progress("survey", 3, 3)
        progress("quality", 1, 1)
    assert capsys.readouterr().err == "survey: 3 of 3, 0:00\nquality: 1 of 1, 0:00\n"


def test_long_stages_tell_that_they_go_on(capsys, monkeypatch):
    times = iter([0.0, 20.0, 40.0, 50.0, 80.0])
    monkeypatch.setattr(_progress.time, "monotonic", lambda: next(times))
    with progress_bar() as progress:
        for done in range(1, 5):
            progress("training", done, 4)
    assert capsys.readouterr().err.splitlines() == [
        "training: 2 of 4, 0:40, about 0:40 left",
        "training: 4 of 4, 1:20",
    ]
