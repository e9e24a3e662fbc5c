"""Tables that lose nothing: a value is wrapped or moved to a line of its own, and never cut.

In a pipe or a file each row is one line. On a terminal a table fits its width in the first of these layouts
in which it does:

1. each row on one line;
2. the details of a row on lines below it, the text columns wrapped where that is not enough;
3. one line per value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from rich.cells import cell_len

from terminal.text import printable, wrap, wrap_words

GAP = 2
"""Blanks between two columns."""

NARROWEST = 14
"""Columns that a wrapped text has at least. Narrower ones are harder to read than one line per value."""

NOTHING = "–"
"""A cell without a value."""


class Kind(Enum):
    """How a column may be laid out."""

    TEXT = "wrapped where there is no room"
    WHOLE = "never wrapped: ids, times, names that are typed again"
    NUMBER = "never wrapped, aligned to the right"


@dataclass(frozen=True, slots=True)
class Column:
    """A column with its heading.

    Attributes
    ----------
    detail
        Its values may be printed below their row.
    """

    heading: str
    kind: Kind = Kind.TEXT
    detail: bool = False


def whole(heading: str, *, detail: bool = False) -> Column:
    """Return a column of values that are never wrapped."""
    return Column(heading, Kind.WHOLE, detail)


def number(heading: str) -> Column:
    """Return a column of numbers."""
    return Column(heading, Kind.NUMBER)


def detail(heading: str) -> Column:
    """Return a column of texts that may be printed below their row."""
    return Column(heading, detail=True)


class Table:
    """Rows of cells. Cells are escaped as they are added: see :func:`terminal.text.printable`."""

    def __init__(self, *columns: Column | str, title: str = "") -> None:
        self.title = printable(title)
        self._columns = [Column(column) if isinstance(column, str) else column for column in columns]
        self._headings = [printable(column.heading) for column in self._columns]
        self._rows: list[list[str]] = []

    def add(self, *cells: object) -> None:
        """Add a row. Whole numbers get separators, None becomes a dash, truth values become yes and no."""
        if len(cells) != len(self._columns):
            raise ValueError(f"{len(cells)} cells for {len(self._columns)} columns")
        self._rows.append([_cell(value) for value in cells])

    def __len__(self) -> int:
        return len(self._rows)

    def lines(self, width: int | None) -> list[str]:
        """Return the table for a terminal of ``width`` columns, or for a pipe, where no line is too long."""
        title = wrap_words(self.title, width) if self.title and width else [self.title] * bool(self.title)
        every = range(len(self._columns))
        if width is None or self._needed(every) <= width:
            return title + self._grid(
                [self._natural(index) for index in every], every, ruled=width is not None
            )
        main = [index for index in every if not self._columns[index].detail]
        widths = self._fitted(main, width)
        if widths is None:
            return title + self._one_line_per_value(width)
        below = [index for index in every if index not in main]
        return title + self._grid(widths, main, ruled=True, below=below, width=width)

    def _natural(self, index: int) -> int:
        return max([cell_len(self._headings[index]), *(cell_len(row[index]) for row in self._rows)])

    def _needed(self, indices: Sequence[int]) -> int:
        return sum(self._natural(index) for index in indices) + GAP * (len(indices) - 1)

    def _fitted(self, indices: Sequence[int], width: int) -> list[int] | None:
        """Return widths of columns that fit, the widest texts made narrower first; None if none do.

        A column alone fits always: one line per value would be as wide.
        """
        widths = [self._natural(index) for index in indices]
        if len(widths) == 1:
            return widths
        texts = [place for place, index in enumerate(indices) if self._columns[index].kind is Kind.TEXT]
        excess = sum(widths) + GAP * (len(widths) - 1) - width
        while excess > 0:
            widest = max(texts, key=lambda place: widths[place], default=None)
            if widest is None or widths[widest] <= NARROWEST:
                return None
            widths[widest] -= 1
            excess -= 1
        return widths

    def _grid(
        self,
        widths: Sequence[int],
        indices: Sequence[int],
        *,
        ruled: bool,
        below: Sequence[int] = (),
        width: int = 0,
    ) -> list[str]:
        lines: list[str] = []
        if any(self._headings):
            lines += self._wrapped(self._headings, widths, indices)
            lines += self._details(self._headings, below, width)
        if ruled and lines:
            lines.append((" " * GAP).join("─" * width for width in widths))
        for row in self._rows:
            lines += self._wrapped(row, widths, indices)
            lines += self._details(row, below, width)
        return lines

    def _details(self, row: Sequence[str], indices: Sequence[int], width: int) -> list[str]:
        """Return the details of a row, several on one line where they fit."""
        lines: list[str] = []
        for index in indices:
            value, room = row[index].strip(), width - GAP
            if not value:
                continue
            if lines and cell_len(lines[-1]) + GAP + cell_len(value) <= room:
                lines[-1] += " " * GAP + value
            else:
                lines += [value] if self._columns[index].kind is not Kind.TEXT else wrap(value, room)
        return [f"{' ' * GAP}{line.rstrip()}" for line in lines]

    def _wrapped(self, row: Sequence[str], widths: Sequence[int], indices: Sequence[int]) -> list[str]:
        cells = [wrap(row[index], width) for index, width in zip(indices, widths, strict=True)]
        lines = []
        for place in range(max(len(cell) for cell in cells)):
            parts = [
                _padded(cell[place] if place < len(cell) else "", width, self._columns[index].kind)
                for cell, width, index in zip(cells, widths, indices, strict=True)
            ]
            lines.append((" " * GAP).join(parts).rstrip())
        return lines

    def _one_line_per_value(self, width: int) -> list[str]:
        names = max(map(cell_len, self._headings))
        lines: list[str] = []
        for row in self._rows:
            lines.append("")
            for column, name, value in zip(self._columns, self._headings, row, strict=True):
                room = width - names - GAP
                wrapped = [value] if column.kind in (Kind.WHOLE, Kind.NUMBER) else wrap(value, max(room, 1))
                heading = _padded(name, names, Kind.TEXT)
                for line in wrapped:
                    lines.append(f"{heading}{' ' * GAP}{line}".rstrip())
                    heading = " " * names
        return lines


def _cell(value: object) -> str:
    match value:
        case None | "":
            return NOTHING if value is None else ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case _:
            return printable(str(value))


def _padded(text: str, width: int, kind: Kind) -> str:
    blanks = " " * max(width - cell_len(text), 0)
    return blanks + text if kind is Kind.NUMBER else text + blanks
