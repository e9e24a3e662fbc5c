"""Text that is safe to print: documents hold text of strangers, and a terminal obeys control characters."""

from __future__ import annotations

import re
from collections.abc import Callable

from rich.cells import cell_len, chop_cells

LINE_BREAKS = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


def printable(text: str) -> str:
    r"""Return a text on one line, each character that is not printable written as its escape: ``\x1b``.

    This covers control characters, and with them the start of every terminal escape; bidirectional controls,
    which reorder what follows; invisible characters; and surrogates, which no output can encode.
    """
    return text if text.isprintable() else _escaped(text, _escape)


def printable_json(text: str) -> str:
    r"""Return JSON text in which each character that is not printable is written as ``\u001b``.

    Outside of its strings JSON has printable characters and line breaks only, so the value stays the same.
    """
    return "\n".join(_escaped(line, _json_escape) for line in text.split("\n"))


def _escaped(text: str, escape: Callable[[str], str]) -> str:
    return "".join(character if character.isprintable() else escape(character) for character in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def wrap(text: str, width: int) -> list[str]:
    """Return a printable text in lines of at most ``width`` columns, broken between words where possible.

    Blanks at its beginning are an indent, if there is room for it.
    """
    lines: list[str] = []
    line = ""
    first, *others = text.lstrip(" ").split(" ")
    indent = " " * (len(text) - len(text.lstrip(" ")))
    for word in (indent + first if len(indent) < width else first, *others):
        longer = f"{line} {word}" if line else word
        if cell_len(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        *full, line = chop_cells(word, width) or [""]
        lines.extend(full)
    return [*lines, line]


def wrap_words(text: str, width: int) -> list[str]:
    """Return a printable text in lines of at most ``width`` columns. A longer word, say an id, is whole."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and cell_len(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
