"""ORDER BY: the paths that must be in an index, and the places of rows, from which a later page goes on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from local.cosmos.query import syntax as s

Key = tuple[int, Any]
"""The rank of a value's type, and what sorts it among its like."""

Row = tuple[Any, ...]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|\[\]")


def indexed_step(name: str) -> str:
    """Return a property's name as a path of an indexing policy has it: quoted, unless it is plain."""
    return name if _PLAIN.fullmatch(name) else f'"{name}"'


@dataclass(frozen=True, slots=True)
class SortPath:
    """One key of ORDER BY as an indexing policy writes it: its steps, ``[]`` for any position of an array."""

    steps: tuple[str, ...]
    descending: bool

    @property
    def path(self) -> str:
        """The path of the scalar, as ``/a/b/?``."""
        return "".join(f"/{indexed_step(step)}" for step in self.steps) + "/?"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands among the sorted ones: by its sort keys; if these are equal, by item and row."""

    keys: tuple[Key, ...]
    item: tuple[str, str]
    row: int


def sort_paths(select: s.Select) -> tuple[SortPath, ...]:
    """Return the paths that a query sorts by."""
    return tuple(SortPath(_steps(key.expression.node), key.descending) for key in select.order)


def _steps(node: s.Node) -> tuple[str, ...]:
    steps: list[str] = []
    node = s.bare(node)
    while isinstance(node, s.Step) and isinstance(node.key, s.Literal):
        steps.append(node.key.value if isinstance(node.key.value, str) else "[]")
        node = s.bare(node.base)
    return tuple(reversed(steps))


def precedes(left: Place, right: Place, descending: Sequence[bool]) -> bool:
    """Say whether a place is before another; ``descending`` has the direction of each key."""
    for mine, other, down in zip(left.keys, right.keys, descending, strict=True):
        if mine != other:
            return (mine < other) != down
    return (left.item, left.row) < (right.item, right.row)


def in_order(rows: Iterable[tuple[Place, Row]], descending: Sequence[bool]) -> list[tuple[Place, Row]]:
    """Return rows that come in the order of their items sorted by their keys."""
    ordered = list(rows)
    # From the last key to the first: the sort is stable.
    for number in reversed(range(len(descending))):
        ordered.sort(key=lambda entry: entry[0].keys[number], reverse=descending[number])
    return ordered
