"""What an index could narrow a query's candidates to: conjuncts of its filter that name a path and values.

A seek never decides: whatever it lets through is filtered again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.cosmos.query import syntax as s
from local.cosmos.query.values import is_number, is_primitive

Scalar = str | int | float | bool | None

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Term:
    """A scalar at an indexing path, such as ``/view/?``, or ``/ids/[]/?`` for any element of an array."""

    path: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The items that have at least one of the terms; none has, where there are no terms."""

    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The items whose scalar at the path lies between; None for an end that is open.

    Both ends are numbers or both are strings, ordered by code point; values of other types lie outside.
    """

    path: str
    low: str | int | float | None
    high: str | int | float | None
    low_inclusive: bool = True
    high_inclusive: bool = True


Seek = AnyOf | Bounds


def seeks(select: s.Select, parameters: Mapping[str, Any]) -> tuple[Seek, ...]:
    """Return every conjunct of the filter that an index can serve, the most selective kind first.

    First those on the id, then those on elements of an array, then equalities, then bounds.
    """
    if select.where is None or not select.sources:
        return ()
    first = select.sources[0]
    if first.steps or first.iterated or first.select is not None:
        return ()  # the alias is not the item itself
    if any(source.alias == first.alias for source in select.sources[1:]):
        return ()
    found = list(_Finder(first.alias, parameters).conjuncts(select.where.node))
    bounds = _merged([seek for seek in found if isinstance(seek, Bounds)])
    return (*sorted((seek for seek in found if isinstance(seek, AnyOf)), key=_order), *bounds)


def _order(seek: AnyOf) -> tuple[int, int]:
    paths = {term.path for term in seek.terms}
    kind = 0 if paths <= {"/id/?"} else 1 if all("/[]/" in path for path in paths) else 2
    return kind, len(seek.terms)


@dataclass(frozen=True, slots=True)
class _Constant:
    value: Any


class _Finder:
    def __init__(self, alias: str, parameters: Mapping[str, Any]) -> None:
        self._alias = alias
        self._parameters = parameters

    def conjuncts(self, node: s.Node) -> Iterator[Seek]:
        node = s.bare(node)
        if isinstance(node, s.All):
            for operand in node.operands:
                yield from self.conjuncts(operand)
        elif isinstance(node, s.Any_):
            terms = self._disjuncts(node)
            if terms is not None:
                yield AnyOf(terms)
        elif isinstance(node, s.Binary):
            yield from self._comparison(node)
        elif isinstance(node, s.Between):
            yield from self._bounds(node.operand, ">=", node.low)
            yield from self._bounds(node.operand, "<=", node.high)
        elif isinstance(node, s.Among):
            yield from self._among(node)
        elif isinstance(node, s.Call) and node.name == "ARRAY_CONTAINS":
            yield from self._array_contains(node)

    def _disjuncts(self, node: s.Any_) -> tuple[Term, ...] | None:
        """Return the terms of which a match must have one; None if a branch can match without any."""
        terms: dict[tuple[type, Term], Term] = {}  # by type as well: to Python, 1 and true are the same
        for operand in node.operands:
            usable = [seek for seek in self.conjuncts(operand) if isinstance(seek, AnyOf)]
            if not usable:
                return None
            chosen = min(usable, key=_order).terms
            terms.update(((type(term.value), term), term) for term in chosen)
        return tuple(terms.values())

    def _path(self, node: s.Node) -> str | None:
        steps: list[str] = []
        node = s.bare(node)
        while isinstance(node, s.Step):
            key = node.key
            if not isinstance(key, s.Literal) or type(key.value) is not str or '"' in key.value:
                return None
            steps.append(key.value if _PLAIN.fullmatch(key.value) else f'"{key.value}"')
            node = s.bare(node.base)
        if not isinstance(node, s.Identifier) or node.name != self._alias or not steps:
            return None
        return "/" + "/".join(reversed(steps))

    def _constant(self, node: s.Node) -> _Constant | None:
        node = s.bare(node)
        if isinstance(node, s.Literal):
            return _Constant(node.value)
        if isinstance(node, s.Parameter) and node.name in self._parameters:
            return _Constant(self._parameters[node.name])
        return None

    def _comparison(self, node: s.Binary) -> Iterator[Seek]:
        if node.operator == "=":
            for path_side, value_side in ((node.left, node.right), (node.right, node.left)):
                path, constant = self._path(path_side), self._constant(value_side)
                if path and constant and is_primitive(constant.value):
                    yield AnyOf((Term(f"{path}/?", constant.value),))
                    return
        elif node.operator in _MIRRORED:
            yield from self._bounds(node.left, node.operator, node.right)
            yield from self._bounds(node.right, _MIRRORED[node.operator], node.left)

    def _bounds(self, operand: s.Node, operator: str, limit: s.Node) -> Iterator[Seek]:
        path, constant = self._path(operand), self._constant(limit)
        if path is None or constant is None:
            return
        value = constant.value
        if not (type(value) is str or is_number(value)):
            return
        inclusive = operator.endswith("=")
        if operator.startswith(">"):
            yield Bounds(f"{path}/?", value, None, low_inclusive=inclusive)
        else:
            yield Bounds(f"{path}/?", None, value, high_inclusive=inclusive)

    def _among(self, node: s.Among) -> Iterator[Seek]:
        path = self._path(node.operand)
        constants = [self._constant(choice) for choice in node.choices]
        terms = self._terms(f"{path}/?", constants) if path else None
        if terms is not None:
            yield AnyOf(terms)

    def _array_contains(self, node: s.Call) -> Iterator[Seek]:
        if not 2 <= len(node.arguments) <= 3:
            return
        array, wanted = node.arguments[:2]
        path, constant = self._path(array), self._constant(wanted)
        if path and constant:
            terms = self._terms(f"{path}/[]/?", [constant])
            if terms is not None:
                yield AnyOf(terms)
            return
        # ARRAY_CONTAINS(@values, c.path) is another way to write IN
        path, constant = self._path(wanted), self._constant(array)
        if path and constant and type(constant.value) is list:
            terms = self._terms(f"{path}/?", [_Constant(value) for value in constant.value])
            if terms is not None:
                yield AnyOf(terms)

    @staticmethod
    def _terms(path: str, constants: list[_Constant | None]) -> tuple[Term, ...] | None:
        terms: dict[tuple[type, Term], Term] = {}
        for constant in constants:
            if constant is None or not is_primitive(constant.value):
                return None
            terms[type(constant.value), Term(path, constant.value)] = Term(path, constant.value)
        return tuple(terms.values())


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _merged(bounds: list[Bounds]) -> list[Bounds]:
    """Join a lower and an upper bound of one path and type into one; further ones stay as they are."""
    merged: list[Bounds] = []
    for bound in bounds:
        for place, other in enumerate(merged):
            joined = _joined(other, bound)
            if joined is not None:
                merged[place] = joined
                break
        else:
            merged.append(bound)
    return merged


def _joined(left: Bounds, right: Bounds) -> Bounds | None:
    lower, upper = (left, right) if left.low is not None else (right, left)
    complementary = lower.high is None and upper.low is None and lower.low is not None
    if left.path != right.path or not complementary or upper.high is None:
        return None
    if (type(lower.low) is str) != (type(upper.high) is str):
        return None
    return Bounds(left.path, lower.low, upper.high, lower.low_inclusive, upper.high_inclusive)
