"""Tables: plain and whole in a pipe, fitted to a terminal."""

import sys

import pytest
from rich.text import Text

from seedx.terminal import new_table, print_table, table_text


@pytest.fixture
def table():
    table = new_table("case", "error", "verdict", words=["verdict"])
    table.add_row("a", "1.0e-05", "pass")
    table.add_row("long name", "2.5", "FAIL at shape [1, 2]" + 40 * " and so on", style="red")
    return table


def test_in_a_pipe_a_table_is_plain_lines_that_are_never_cut(table, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    print_table(table)
    lines = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in lines] == [
        "case         error  verdict",
        "a          1.0e-05  pass",
        "long name      2.5  FAIL at shape [1, 2]" + 40 * " and so on",
    ]
    assert table_text(table).splitlines() == [line.rstrip() for line in lines]


def test_on_a_terminal_a_table_fits_the_window_and_loses_nothing(table, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(table)
    lines = Text.from_ansi(capsys.readouterr().out).plain.splitlines()
    assert max(map(len, lines)) == 40 and len(lines) > 20
    assert sum(line.count("and") for line in lines) == 40
