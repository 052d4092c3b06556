"""Tables, lines and headings at several widths."""

import io
import shutil
import sys

import polars as pl
import pytest

from matinee.cli import output

LONG = "The Lord of the Rings: The Fellowship of the Ring (2001)"
TABLE = pl.DataFrame(
    {
        "item_id": [4993, 120],
        "title": [LONG, "Heat (1995)"],
        "genres": ["Adventure|Fantasy|Action|Drama", "Crime"],
        "n_ratings": [12345, 7],
    }
)
HEADINGS = {"item_id": "id", "title": "title", "genres": "genres", "n_ratings": "ratings"}


@pytest.fixture
def table_at(monkeypatch, capsys):
    def printed(columns, frame=TABLE):
        monkeypatch.setenv("COLUMNS", str(columns))
        output.print_table(frame, {name: HEADINGS[name] for name in frame.columns})
        return capsys.readouterr().out

    return printed


def test_nothing_is_cut_where_there_is_room(table_at):
    text = table_at(120)
    assert LONG in text
    assert "Adventure|Fantasy|Action|Drama" in text
    assert "12,345" in text
    assert "4993" in text  # an id has no thousands separators


def test_genres_give_way_before_titles(table_at):
    text = table_at(94)
    assert LONG in text
    assert "Adventure|Fantasy|…" in text
    assert max(map(len, text.splitlines())) <= 94


@pytest.mark.parametrize("columns", [50, 60, 80])
def test_a_title_that_is_cut_keeps_its_year(table_at, columns):
    text = table_at(columns)
    row = text.splitlines()[2]
    assert "… (2001)" in row
    assert "4993" in row
    assert "12,345" in row
    assert max(map(len, text.splitlines())) <= columns


def test_numbers_and_ids_are_never_cut(table_at):
    row = table_at(10).splitlines()[2]
    assert "4993" in row
    assert "12,345" in row


def test_wide_letters_count_as_two(table_at):
    frame = pl.DataFrame({"title": ["千と千尋の神隠し" * 4], "n_ratings": [5]})
    (row,) = table_at(40, frame).splitlines()[2:]
    assert row.rstrip().endswith("5")
    assert "…" in row


def test_square_brackets_and_escapes_are_text(table_at):
    text = table_at(80, pl.DataFrame({"title": ["[red]x[/red] \x1b[31m"], "n_ratings": [5]}))
    assert "[red]x[/red] ?[31m" in text


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_lines_break_between_words_on_a_terminal_only(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    sentence = "A sentence that is much too long for one line of forty columns."
    for stream, lines in ((Terminal(), 2), (io.StringIO(), 1)):
        monkeypatch.setattr(sys, "stdout", stream)
        output.say(sentence)
        assert len(stream.getvalue().splitlines()) == lines
        assert stream.getvalue().split() == sentence.split()
    monkeypatch.setattr(sys, "stdout", Terminal())
    command = '  matinee recommend --rating "One Flew Over the Cuckoo\'s Nest (1975)=5"'
    output.say(command)
    assert sys.stdout.getvalue() == f"{command}\n"


def test_a_hint_names_the_program_as_it_was_started(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "matinee")])
    assert output.program() == str(tmp_path / "matinee")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "matinee" / "__main__.py")])
    assert output.program() == "python -m matinee"
    monkeypatch.setattr(shutil, "which", lambda _: sys.argv[0])
    assert output.program() == "matinee"
