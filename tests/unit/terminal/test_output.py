"""What reaches standard output and standard error, on a terminal and in a pipe."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import struct
import termios

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from terminal import output
from terminal.output import Exit, fail, print_json, print_table, progress, say
from terminal.tables import Table, whole
from tests.unit.terminal.hostile import ids, texts, unsafe


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(params=[None, 80, 120])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int | None:
    columns: int | None = request.param
    monkeypatch.setattr(output, "width_of", lambda _: columns)
    return columns


@given(texts, st.sampled_from([None, 80, 120]))
def test_whatever_is_said_is_printable_and_words_stay_whole(text: str, width: int | None) -> None:
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "width_of", lambda _: width)
        say(text, stream=stream)
    assert unsafe(stream.getvalue()) == set()
    for line in output.LINE_BREAKS.split(text):
        assert set(output.printable(line).split()) <= set(stream.getvalue().split())


@given(ids)
def test_an_id_in_a_sentence_is_printed_whole(row_id: str) -> None:
    stream = Terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "80")
        say(f"There is no poison document with an id that begins with {row_id}.", stream=stream)
    assert any(row_id in line for line in stream.getvalue().splitlines())


def test_a_pipe_has_no_width_and_a_terminal_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "97")
    assert output.width_of(io.StringIO()) is None
    assert output.width_of(Terminal()) == 97


@pytest.mark.parametrize("columns", [80, 120])
def test_the_width_is_that_of_the_terminal_printed_to(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with os.fdopen(leader, "rb"), os.fdopen(follower, "w") as stream:
        assert output.width_of(stream) == columns


@pytest.mark.parametrize("columns", ["", "0", "wide"])
def test_a_terminal_without_a_width_has_80_columns(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert output.width_of(Terminal()) == 80


def test_an_id_is_whole_in_a_table_of_any_width(
    width: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Table(whole("id"), "text")
    table.add("poison_" + "0" * 32, "some words " * 20)
    print_table(table)
    assert "poison_" + "0" * 32 in capsys.readouterr().out


def test_json_escapes_what_is_not_printable(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"id": "\x9b31m\u202e\ud800", "name": "अर्जुन"})
    printed = capsys.readouterr().out
    assert unsafe(printed) == set()
    assert "अर्जुन" in printed
    assert json.loads(printed) == {"id": "\x9b31m\u202e\ud800", "name": "अर्जुन"}


def test_a_failure_goes_to_standard_error_and_ends_with_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        fail("no \x1b[2J", Exit.UNREACHABLE)
    assert ended.value.exit_code == 3
    assert capsys.readouterr().err == "no \\x1b[2J\n"


def test_progress_is_silent_where_standard_error_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("rows") as advance:
        advance(1, 2)
    assert capsys.readouterr() == ("", "")


def test_progress_begins_with_the_first_report(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(ZeroDivisionError), progress("rows"):
        raise ZeroDivisionError
    assert stream.getvalue() == ""
    with progress("rows") as advance:
        advance(1, 2)
    assert "1/2" in stream.getvalue()
