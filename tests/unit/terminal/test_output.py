"""What reaches standard output and standard error, on a terminal and in a pipe."""

from __future__ import annotations

import ast
import fcntl
import io
import json
import os
import pty
import re
import struct
import termios
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from terminal import output
from terminal.figures import figures_table
from terminal.output import Exit, fail, note, print_json, print_table, progress, say
from terminal.tables import Table, detail, number, whole
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
    assert set(output.printable(text).split()) <= set(stream.getvalue().split())
    if width is None:
        assert stream.getvalue() == f"{output.printable(text)}\n"


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


def table_of(text: str) -> Table:
    table = Table(whole(text), text, number(text), detail(text), whole(text, detail=True), title=text)
    table.add(*[text] * 5)
    return table


PRINTING: dict[str, Callable[[str], object]] = {
    "say": say,
    "say in color": lambda text: say(text, color="red"),
    "note": note,
    "fail": lambda text: fail(text, Exit.REFUSED),
    "print_json": lambda text: print_json({text: [text, {"inner": text}]}),
    "print_json on a line": lambda text: print_json(text, indent=None),
    "print_table": lambda text: print_table(table_of(text)),
    "figures_table": lambda text: print_table(
        figures_table(text, {text: {text: [text, {text: text}]}}, [text])
    ),
}


@pytest.mark.parametrize("printing", PRINTING.values(), ids=PRINTING)
@given(texts, st.sampled_from([None, 20, 80, 120]))
def test_no_printing_function_prints_what_a_terminal_obeys(
    printing: Callable[[str], object], text: str, width: int | None
) -> None:
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(stream), redirect_stderr(stream):
        patch.setattr(output, "width_of", lambda _: width)
        with suppress(typer.Exit):
            printing(text)
    assert unsafe(stream.getvalue()) == set()


CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
OF_SEVERAL_LINES = {"\x1b[1A", "\x1b[2K"}
"""What is sent for words that need more than a line."""


def progress_with(words: str) -> str:
    stream = Terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", stream)
        patch.setenv("TERM", "xterm")
        with progress("rows") as advance:
            advance(1, 2, words)
    return stream.getvalue()


@settings(max_examples=30)
@given(texts)
def test_progress_prints_no_text_that_a_terminal_obeys(text: str) -> None:
    own, printed = CODES.findall(progress_with("words")), progress_with(text)
    assert set(CODES.findall(printed)) <= {*own, *OF_SEVERAL_LINES}
    assert unsafe(CODES.sub("", printed)) == set()


WITH_THEIR_OWN = {
    "terminal/output.py",
    "ops/docs.py",  # pages, byte for byte
    "local/__main__.py",  # lines for a shell to evaluate
    "local/processes.py",  # lines for the process that started it
    "local/console.py",  # the benchmarks' and the soak's own figures
    "local/host/logs.py",  # JSON
}


def test_only_the_terminal_package_prints() -> None:
    root = Path(__file__).parents[3]
    printing = {
        path.relative_to(root).as_posix()
        for folder in ("functions", "shared", "ops", "local", "terminal")
        for path in (root / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and re.fullmatch(
            r"print|typer\.s?echo|typer\.secho|click\.s?echo|sys\.std(out|err)\.write|Console",
            ast.unparse(node.func),
        )
    }
    assert printing == WITH_THEIR_OWN


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
