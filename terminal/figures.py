"""A document of figures as a table: one line per figure, indented as the document is nested."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from terminal.tables import NOTHING, Table

INDENT = "  "
SMALL = 0.001
"""Smaller figures, say the cost of one question in USD, have more than four digits."""


def figures_table(title: str, document: Mapping[str, Any], blocks: Iterable[str]) -> Table:
    """Return the figures of some blocks of a document. Figures that are null are left out."""
    table = Table("figure", "value", title=title)
    for block in blocks:
        for name, value in _lines(block, document.get(block)):
            table.add(name, value)
    return table


def _lines(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield name and figure of a value; of an object a heading, and what it holds, indented."""
    if value is None:
        return
    inner = _inner(value)
    if inner is None:
        yield name, figure(value)
        return
    held = [line for inner_name, inner_value in inner for line in _lines(inner_name, inner_value)]
    if held:
        yield name, ""
        yield from ((f"{INDENT}{inner_name}", text) for inner_name, text in held)


def _inner(value: Any) -> Iterable[tuple[str, Any]] | None:
    """Return what an object holds, or a list of objects, by number; None for a figure."""
    if isinstance(value, Mapping):
        return ((str(name), inner) for name, inner in value.items())
    if isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value):
        return ((str(number), entry) for number, entry in enumerate(value, 1))
    return None


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each figure of nested objects, with its path: ``model_performance.gemini.requests``."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from flat(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, value


def figure(value: Any) -> str:
    """Return a figure as people read it: ``1,234.5``."""
    match value:
        case None:
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            digits = 4 if abs(value) >= SMALL else 9
            return f"{value:,.{digits}f}".rstrip("0").rstrip(".")
        case list():
            return ", ".join(map(figure, value)) or NOTHING
        case Mapping():
            return ", ".join(f"{name} {figure(inner)}" for name, inner in flat(value)) or NOTHING
        case _:
            return str(value)
