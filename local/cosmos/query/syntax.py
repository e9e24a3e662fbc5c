"""The parsed query: one dataclass per construct."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression."""


@dataclass(frozen=True, slots=True, eq=False)
class Literal(Node):
    """A constant; the value may be undefined."""

    value: Any

    def __eq__(self, other: object) -> bool:
        # Python holds True, 1 and 1.0 for equal; the language does not hold true for a number.
        return isinstance(other, Literal) and (type(self.value), self.value) == (
            type(other.value),
            other.value,
        )

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """``@name``, with its ``@``."""

    name: str


@dataclass(frozen=True, slots=True)
class Identifier(Node):
    """The alias of a source."""

    name: str


@dataclass(frozen=True, slots=True)
class Step(Node):
    """``base.key`` or ``base[key]``."""

    base: Node
    key: Node


@dataclass(frozen=True, slots=True)
class ArrayOf(Node):
    """``[a, b]``."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ObjectOf(Node):
    """``{"a": b}``."""

    names: tuple[str, ...]
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """``-a``, ``+a``, ``~a`` or ``NOT a``."""

    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Arithmetic, bitwise operators, ``||`` and comparisons."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class All(Node):
    """``a AND b AND …``."""

    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Any_(Node):  # noqa: N801  the name OR would have, were it free
    """``a OR b OR …``."""

    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Coalesce(Node):
    """``a ?? b ?? …``."""

    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """``a ? b : c``."""

    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Among(Node):
    """``a IN (b, …)``."""

    operand: Node
    choices: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Between(Node):
    """``a BETWEEN low AND high``, both inclusive."""

    operand: Node
    low: Node
    high: Node


@dataclass(frozen=True, slots=True)
class Like(Node):
    """``a LIKE pattern ESCAPE escape``."""

    operand: Node
    pattern: Node
    escape: str


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function, by its name in capitals; ``text`` is how its arguments were written."""

    name: str
    arguments: tuple[Node, ...]
    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Subquery(Node):
    """``EXISTS(…)``, ``ARRAY(…)``, or a scalar subquery in parentheses.

    ``kind`` is ``exists``, ``array`` or ``scalar``.
    """

    kind: str
    select: Select


@dataclass(frozen=True, slots=True)
class Parenthesis(Node):
    """What was written in parentheses; means what is in it."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Written:
    """An expression, and how it was written."""

    node: Node
    text: str


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a SELECT list."""

    expression: Written
    alias: str


@dataclass(frozen=True, slots=True)
class Source:
    """One entry of FROM or JOIN.

    ``root`` is the container or an alias, ``steps`` the path from it; or ``select`` is a subquery.
    ``iterated``: the alias stands for each element of the array (``alias IN path``).
    """

    alias: str
    root: str
    steps: tuple[Node, ...]
    iterated: bool
    select: Select | None
    text: str


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of ORDER BY."""

    expression: Written
    descending: bool


Count = int | Parameter
"""What TOP, OFFSET and LIMIT take."""


@dataclass(frozen=True, slots=True)
class Select:
    """A query or subquery. ``value`` is None and ``items`` empty for ``SELECT *``."""

    distinct: bool
    top: Count | None
    value: Written | None
    items: tuple[Item, ...]
    sources: tuple[Source, ...]
    where: Written | None
    group: tuple[Written, ...]
    order: tuple[Sort, ...]
    offset: Count | None
    limit: Count | None

    @property
    def star(self) -> bool:
        """Whether it is ``SELECT *``."""
        return self.value is None and not self.items

    @property
    def projected(self) -> tuple[Written, ...]:
        """The expressions of its projection."""
        return (self.value,) if self.value else tuple(item.expression for item in self.items)


def bare(node: Node) -> Node:
    """Return the expression without the parentheses around it."""
    while isinstance(node, Parenthesis):
        node = node.operand
    return node


def children(node: Node) -> Iterator[Node]:
    """Yield the parts of an expression; a subquery has none here, for it has a scope of its own."""
    for entry in fields(node):
        part = getattr(node, entry.name)
        if isinstance(part, Node):
            yield part
        elif isinstance(part, tuple):
            yield from (item for item in part if isinstance(item, Node))
