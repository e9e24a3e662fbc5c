"""A document of figures as a table: one line per figure, in blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from terminal.tables import NOTHING, Table


def figures_table(title: str, document: Mapping[str, Any], blocks: Iterable[str]) -> Table:
    """Return the figures of some blocks of a document. Figures that are null are left out."""
    table = Table("block", "figure", "value", title=title)
    for block in blocks:
        shown = block
        for name, value in flat(document.get(block)):
            if value is not None:
                table.add(shown, name, figure(value))
                shown = ""
    return table


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
            return f"{value:,.4f}".rstrip("0").rstrip(".")
        case list():
            return ", ".join(map(figure, value)) or NOTHING
        case Mapping():
            return ", ".join(f"{name} {figure(inner)}" for name, inner in flat(value)) or NOTHING
        case _:
            return str(value)
