"""Standard output for results, standard error for notes and progress; and the exit codes of all commands."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import IO, Annotated, Any, NoReturn, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from terminal.tables import Table
from terminal.text import LINE_BREAKS, printable, printable_json, wrap_words

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

FALLBACK_WIDTH = 80
"""Columns of a terminal that does not say how many it has."""


class Advance(Protocol):
    """Reports how far long work is."""

    def __call__(self, done: int, total: int | None, words: str = "") -> None:
        """Say what is done, how much there is in all (None if unknown), and of what."""


class Exit(IntEnum):
    """How a command ends. ``130``, after Ctrl-C, is the shell's."""

    DONE = 0
    REFUSED = 1
    """Refused, or differences were found."""
    USAGE = 2
    """Wrong usage or settings."""
    UNREACHABLE = 3
    """The service could not be reached, or did not answer."""
    INTERRUPTED = 130


def commands(help_text: str, *, name: str | None = None) -> typer.Typer:
    """Return a group of commands."""
    return typer.Typer(
        name=name,
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # a traceback with local variables would print connection strings
    )


def width_of(stream: IO[str]) -> int | None:
    """Return the columns of a terminal; None for a pipe or a file, where lines may have any length.

    The variable ``COLUMNS`` wins over what the terminal says, as in other programs.
    """
    if not stream.isatty():
        return None
    chosen = os.environ.get("COLUMNS", "")
    if chosen.isdecimal() and int(chosen) > 0:
        return int(chosen)
    try:
        return os.get_terminal_size(stream.fileno()).columns or FALLBACK_WIDTH
    except (OSError, ValueError):
        return FALLBACK_WIDTH


def say(text: str = "", *, stream: IO[str] | None = None, color: str | None = None) -> None:
    """Print one line, wrapped between words on a terminal.

    Characters that are not printable are escaped, line breaks too: a name in the text could forge a line.
    """
    stream = stream or sys.stdout
    width = width_of(stream)
    safe = printable(text)
    for part in wrap_words(safe, width) if width and not safe.startswith(" ") else [safe]:
        typer.echo(typer.style(part, fg=color) if color else part, file=stream)


def note_lines(text: str) -> None:
    """Print each line of a text, such as the end of a log, to standard error."""
    for line in LINE_BREAKS.split(text):
        note(line)


def note(text: str, *, color: str | None = None) -> None:
    """Print text to standard error."""
    say(text, stream=sys.stderr, color=color)


def print_table(table: Table) -> None:
    """Print a table as wide as the terminal."""
    for line in table.lines(width_of(sys.stdout)):
        typer.echo(line)


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a value as JSON that any terminal can show."""
    typer.echo(printable_json(json.dumps(value, indent=indent, ensure_ascii=False)))


def fail(message: str, code: Exit) -> NoReturn:
    """Print why a command ends, and end it."""
    note(message, color="red")
    raise typer.Exit(code)


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """Show on standard error how far long work is. Nothing is printed if that is not a terminal.

    The bar begins with the first report and is removed at the end.
    """
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    task = bar.add_task(what, total=None)

    def report(done: int, total: int | None, words: str = "") -> None:
        bar.update(task, completed=done, total=total, description=printable(words or what))
        bar.start()

    try:
        yield report
    finally:
        bar.stop()
