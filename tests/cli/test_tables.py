"""Tables fit the width of the terminal, and say what they leave out."""

import pytest

from pfungst.cli import _run
from pfungst.cli._tables import fitted, print_table

HEADER = ("class", "AP %", "true pos.", "kept without object %")
ROWS = (("horse", "61.5 [50.1, 70.2]", "12", "87.0 [70.1, 95.4]"), ("cat", "–", "3", "12.1"))


def printed(capsys, monkeypatch, width, **options):
    monkeypatch.setenv("COLUMNS", str(width))
    print_table("fisher on photos", HEADER, ROWS, **options)
    return capsys.readouterr().out


def test_all_is_shown_where_there_is_room(capsys, monkeypatch):
    text = printed(capsys, monkeypatch, 80)
    assert "61.5 [50.1, 70.2]" in text
    assert "kept without object %" in text
    assert "Left out" not in text


def test_headings_take_several_lines_before_anything_goes(capsys, monkeypatch):
    text = printed(capsys, monkeypatch, 58)
    assert max(map(len, text.splitlines())) <= 58
    assert "87.0 [70.1, 95.4]" in text
    assert "kept without object %" not in text
    assert all(word in text for word in ("kept", "without", "object"))
    assert "Left out" not in text


def test_intervals_go_first_then_columns_and_it_is_said(capsys, monkeypatch):
    text = printed(capsys, monkeypatch, 38)
    assert all(len(line) <= 38 for line in text.splitlines() if not line.startswith("Left out"))
    assert "61.5" in text
    assert "[" not in text
    assert "87.0" in text
    assert "Left out to fit 38 columns: intervals (all: --wide, or --json FILE)" in text
    text = printed(capsys, monkeypatch, 26)
    assert "87.0" not in text
    assert "intervals; the columns kept without object % (" in text


@pytest.mark.parametrize("width", range(20, 90))
def test_no_line_is_longer_and_no_number_is_cut(width):
    shown = fitted(HEADER, ROWS, width)
    assert shown.width <= width or len(shown.header) == 2
    numbers = {cell for row in ROWS for cell in row[1:]} | {"61.5", "87.0"}
    assert all(cell in numbers for row in shown.rows for cell in row[1:])


def test_long_names_are_cut_before_a_column_goes():
    name = "Southern double-collared sunbird, female"
    shown = fitted(("class", "AP %"), ((name, "61.5"),), 30)
    assert shown.rows[0][0].endswith("…")
    assert name.startswith(shown.rows[0][0][:-1])
    assert shown.width <= 30
    assert shown.notes == ()


def test_wide_shows_everything(capsys, monkeypatch):
    monkeypatch.setattr(_run.settings, "wide", True)
    text = printed(capsys, monkeypatch, 30)
    assert "87.0 [70.1, 95.4]" in text
    assert "Left out" not in text


def test_a_file_gets_the_whole_table(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table("a title in [brackets]", [*HEADER, *HEADER], [[*row, *row] for row in ROWS])
    text = capsys.readouterr().out
    assert text.startswith("a title in [brackets]\n")
    assert text.count("87.0 [70.1, 95.4]") == 2


def test_totals_stand_below_a_line(capsys, monkeypatch):
    lines = printed(capsys, monkeypatch, 80, totals=1).splitlines()
    horse = next(number for number, line in enumerate(lines) if "horse" in line)
    assert lines[horse + 1].startswith("─")
    assert "cat" in lines[horse + 2]


def test_a_table_without_rows(capsys):
    print_table("empty", HEADER, [])
    assert "class" in capsys.readouterr().out
