"""What an index could narrow a query's candidates to: conjuncts of its filter that name a path and values.

A seek never decides: whatever it lets through is filtered again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.cosmos.query import syntax as s
from local.cosmos.query.ordering import indexed_step
from local.cosmos.query.values import UNDEFINED, is_number, is_primitive

Scalar = str | int | float | bool | None


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


class Seeker:
    """What an index could do for a query, found once; the values come with each execution."""

    def __init__(self, select: s.Select) -> None:
        self._sought = tuple(_sought(select))

    def seeks(self, parameters: Mapping[str, Any]) -> tuple[Seek, ...]:
        """Return every conjunct of the filter that an index can serve, the most selective kind first.

        First those on the id, then those on elements of an array, then equalities, then bounds.
        """
        equal: list[AnyOf] = []
        bounds: list[Bounds] = []
        for sought in self._sought:
            if isinstance(sought, _Limit):
                bound = sought.bounds(parameters)
                if bound is not None:
                    bounds.append(bound)
            else:
                terms = sought.terms(parameters)
                if terms is not None:
                    equal.append(AnyOf(terms))
        return (*sorted(equal, key=_order), *_merged(bounds))


def _sought(select: s.Select) -> Iterator[_Sought]:
    if select.where is None or not select.sources:
        return
    first = select.sources[0]
    if first.steps or first.iterated or first.select is not None:
        return  # the alias is not the item itself
    if any(source.alias == first.alias for source in select.sources[1:]):
        return
    yield from _Finder(first.alias).conjuncts(select.where.node)


def _order(seek: AnyOf) -> tuple[int, int]:
    paths = {term.path for term in seek.terms}
    kind = 0 if paths <= {"/id/?"} else 1 if all("/[]/" in path for path in paths) else 2
    return kind, len(seek.terms)


@dataclass(frozen=True, slots=True)
class _Constant:
    """A literal, or the value of a parameter."""

    value: Any = None
    parameter: str = ""

    def of(self, parameters: Mapping[str, Any]) -> Any:
        """Return the value; that of a parameter that was not given is in no index, and the query fails."""
        return parameters.get(self.parameter, UNDEFINED) if self.parameter else self.value


@dataclass(frozen=True, slots=True)
class _Equal:
    """The scalar at a path is one of some constants."""

    path: str
    constants: tuple[_Constant, ...]

    def terms(self, parameters: Mapping[str, Any]) -> tuple[Term, ...] | None:
        values = [constant.of(parameters) for constant in self.constants]
        return _distinct(self.path, values)


@dataclass(frozen=True, slots=True)
class _Listed:
    """The scalar at a path is an element of a constant array."""

    path: str
    constant: _Constant

    def terms(self, parameters: Mapping[str, Any]) -> tuple[Term, ...] | None:
        values = self.constant.of(parameters)
        return _distinct(self.path, values) if type(values) is list else None


@dataclass(frozen=True, slots=True)
class _Either:
    """One of several branches holds; in each, any of what it is sought by will do."""

    branches: tuple[tuple[_Equal | _Listed | _Either, ...], ...]

    def terms(self, parameters: Mapping[str, Any]) -> tuple[Term, ...] | None:
        """Return the terms of which a match must have one; None if a branch can match without any."""
        found: dict[tuple[type, Term], Term] = {}
        for branch in self.branches:
            usable = [terms for sought in branch if (terms := sought.terms(parameters)) is not None]
            if not usable:
                return None
            best = usable[0] if len(usable) == 1 else min(usable, key=lambda terms: _order(AnyOf(terms)))
            for term in best:
                found[type(term.value), term] = term
        return tuple(found.values())


@dataclass(frozen=True, slots=True)
class _Limit:
    """The scalar at a path is on one side of a constant."""

    path: str
    operator: str
    constant: _Constant

    def bounds(self, parameters: Mapping[str, Any]) -> Bounds | None:
        value = self.constant.of(parameters)
        if not (type(value) is str or is_number(value)):
            return None
        inclusive = self.operator.endswith("=")
        if self.operator.startswith(">"):
            return Bounds(self.path, value, None, low_inclusive=inclusive)
        return Bounds(self.path, None, value, high_inclusive=inclusive)


_Sought = _Equal | _Listed | _Either | _Limit


def _distinct(path: str, values: list[Any]) -> tuple[Term, ...] | None:
    """Return a term for each value, None if one of them is in no index; to Python true and 1 are the same."""
    terms: dict[tuple[type, Scalar], Term] = {}
    for value in values:
        if not is_primitive(value):
            return None
        terms[type(value), value] = Term(path, value)
    return tuple(terms.values())


class _Finder:
    """Finds what a filter seeks, by its form alone."""

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def conjuncts(self, node: s.Node) -> Iterator[_Sought]:
        node = s.bare(node)
        if isinstance(node, s.All):
            for operand in node.operands:
                yield from self.conjuncts(operand)
        elif isinstance(node, s.Any_):
            branches = [self._branch(operand) for operand in node.operands]
            if all(branches):
                yield _Either(tuple(branches))
        elif isinstance(node, s.Binary):
            yield from self._comparison(node)
        elif isinstance(node, s.Between):
            yield from self._limit(node.operand, ">=", node.low)
            yield from self._limit(node.operand, "<=", node.high)
        elif isinstance(node, s.Among):
            yield from self._equal(self._path(node.operand), "/?", node.choices)
        elif isinstance(node, s.Call) and node.name == "ARRAY_CONTAINS":
            yield from self._array_contains(node)

    def _branch(self, node: s.Node) -> tuple[_Equal | _Listed | _Either, ...]:
        return tuple(sought for sought in self.conjuncts(node) if not isinstance(sought, _Limit))

    def _path(self, node: s.Node) -> str | None:
        steps: list[str] = []
        node = s.bare(node)
        while isinstance(node, s.Step):
            key = node.key
            if not isinstance(key, s.Literal) or type(key.value) is not str or '"' in key.value:
                return None
            steps.append(indexed_step(key.value))
            node = s.bare(node.base)
        if not isinstance(node, s.Identifier) or node.name != self._alias or not steps:
            return None
        return "/" + "/".join(reversed(steps))

    @staticmethod
    def _constant(node: s.Node) -> _Constant | None:
        node = s.bare(node)
        if isinstance(node, s.Literal):
            return _Constant(node.value)
        return _Constant(parameter=node.name) if isinstance(node, s.Parameter) else None

    def _equal(self, path: str | None, end: str, nodes: Sequence[s.Node]) -> Iterator[_Equal]:
        constants = [constant for node in nodes if (constant := self._constant(node)) is not None]
        if path is not None and len(constants) == len(nodes):
            yield _Equal(path + end, tuple(constants))

    def _comparison(self, node: s.Binary) -> Iterator[_Sought]:
        if node.operator == "=":
            yield from self._equal(self._path(node.left), "/?", [node.right])
            yield from self._equal(self._path(node.right), "/?", [node.left])
        elif node.operator in _MIRRORED:
            yield from self._limit(node.left, node.operator, node.right)
            yield from self._limit(node.right, _MIRRORED[node.operator], node.left)

    def _limit(self, operand: s.Node, operator: str, limit: s.Node) -> Iterator[_Limit]:
        path, constant = self._path(operand), self._constant(limit)
        if path is not None and constant is not None:
            yield _Limit(f"{path}/?", operator, constant)

    def _array_contains(self, node: s.Call) -> Iterator[_Equal | _Listed]:
        if not 2 <= len(node.arguments) <= 3:
            return
        array, wanted = node.arguments[:2]
        path, constant = self._path(array), self._constant(wanted)
        if path is not None and constant is not None:
            yield from self._equal(path, "/[]/?", [wanted])
            return
        # ARRAY_CONTAINS(@values, c.path) is another way to write IN
        path, constant = self._path(wanted), self._constant(array)
        if path is not None and constant is not None:
            yield _Listed(f"{path}/?", constant)


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
