"""A SELECT, compiled: where its rows come from, which remain, and what they yield."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from local.cosmos.query import syntax as s
from local.cosmos.query.aggregates import AGGREGATES
from local.cosmos.query.checks import aggregates_of, check, check_depth, check_grouped
from local.cosmos.query.errors import QueryError, UnsupportedError
from local.cosmos.query.expressions import (
    Evaluate,
    Parameters,
    Row,
    Scope,
    Subselection,
    compile_node,
    object_of,
)
from local.cosmos.query.ordering import Place, in_order, precedes
from local.cosmos.query.values import UNDEFINED, identity, sort_key

T = TypeVar("T")

Expand = Callable[[Row, Parameters], Iterator[Row]]

MOST_ROWS = 10_000_000
"""Rows that one JOIN may make in one execution: products of arrays grow faster than anyone waits."""


def compile_select(select: s.Select) -> Selection:
    """Return the outermost query; its rows start from one document each."""
    check_depth(select)
    return Selection(select, Scope(subquery=_inner), outermost=True)


def _inner(select: s.Select, scope: Scope) -> Selection:
    return Selection(select, scope.having(), outermost=False)


class Selection:
    """A compiled SELECT.

    Attributes
    ----------
    streaming
        Every row stands for itself: no row has to wait for another.
    resumable
        It is sorted, and can go on behind a place.
    """

    def __init__(self, select: s.Select, scope: Scope, *, outermost: bool) -> None:
        check(select, outermost=outermost)
        self._select = select
        self._expanders: list[Expand] = []
        scope = self._compile_sources(select, scope, outermost=outermost)
        self._where = compile_node(select.where.node, scope) if select.where else None
        self._group = [compile_node(key.node, scope) for key in select.group]
        self._order = [(compile_node(key.expression.node, scope), key.descending) for key in select.order]
        self.aggregated = bool(select.group or aggregates_of(select))
        self._arguments: list[tuple[str, Evaluate]] = []
        self._width = len(scope.names)
        self._project = self._compile_projection(select, scope)
        self.streaming = bool(select.sources) and not (
            self.aggregated
            or select.order
            or select.distinct
            or select.top is not None
            or select.limit is not None
        )

        self.resumable = bool(select.sources and select.order) and not (self.aggregated or select.distinct)

    def _compile_sources(self, select: s.Select, scope: Scope, *, outermost: bool) -> Scope:
        sources = select.sources
        if outermost and sources:
            first = sources[0]
            if first.select is not None:
                raise UnsupportedError("A subquery as the first source of FROM")
            if not first.steps and not first.iterated:
                scope, sources = scope.having(first.alias), sources[1:]
            else:
                scope = scope.having("")
                path = _walk(lambda row, parameters: row[0], first.steps, scope)
                self._expanders.append(_expander(path, first.iterated))
                scope, sources = scope.having(first.alias), sources[1:]
        for source in sources:
            self._expanders.append(self._expander_of(source, scope))
            scope = scope.having(source.alias)
        return scope

    @staticmethod
    def _expander_of(source: s.Source, scope: Scope) -> Expand:
        if source.select is not None:
            return _subquery_expander(scope.subquery(source.select, scope), source.iterated)
        start = compile_node(s.Identifier(source.root), scope)
        return _expander(_walk(start, source.steps, scope), source.iterated)

    def _compile_projection(self, select: s.Select, scope: Scope) -> Evaluate:
        if select.star:
            slot = len(scope.names) - 1
            return lambda row, parameters: row[slot]
        base = scope
        calls: dict[s.Call, int] = {}
        if self.aggregated:
            for expression in select.projected:
                check_grouped(expression.node, {key.node for key in select.group})
            # The results of the aggregates lie in a slot after those of the sources.
            scope = Scope(base.subquery, (*base.names, ""), calls, len(base.names))
        project = (
            compile_node(select.value.node, scope)
            if select.value
            else object_of(
                tuple(item.alias for item in select.items),
                [compile_node(item.expression.node, scope) for item in select.items],
            )
        )
        self._arguments = [(call.name, compile_node(call.arguments[0], base)) for call in calls]
        return project

    def produce(self, row: Row, parameters: Parameters) -> Iterator[Any]:
        """Yield the results of a subquery for one row of the query around it."""
        return self.produce_all([row], parameters)

    def produce_all(self, starts: Iterable[Row], parameters: Parameters) -> Iterator[Any]:
        """Yield the results of the query over all rows it may start from."""
        rows = self._rows(starts, parameters)
        if self.aggregated:
            rows = self._aggregate(rows, parameters)
        elif self._order:
            rows = self._sorted(rows, parameters)
        project = self._project
        results: Iterator[Any] = (
            value for row in rows if (value := project(row, parameters)) is not UNDEFINED
        )
        if self._select.distinct:
            results = _distinct(results)
        return self._limited(results, parameters)

    def resume(
        self,
        starts: Iterable[tuple[tuple[str, str], Row]],
        parameters: Parameters,
        after: Place | None,
        returned: int,
    ) -> Iterator[tuple[Place, Any]]:
        """Yield the sorted results behind a place, each with its own.

        Parameters
        ----------
        starts
            Key and id of an item, and the row that starts from it, in the order of key and id.
        after
            Place of the last result that was returned, None to begin with the first.
        returned
            How many results were returned: TOP, OFFSET and LIMIT count them.
        """
        directions = [descending for _, descending in self._order]
        placed = (
            entry
            for entry in self._placed(starts, parameters)
            if after is None or precedes(after, entry[0], directions)
        )
        results = (
            (place, value)
            for place, row in in_order(placed, directions)
            if (value := self._project(row, parameters)) is not UNDEFINED
        )
        return self._limited(results, parameters, returned if after else 0)

    def _placed(
        self, starts: Iterable[tuple[tuple[str, str], Row]], parameters: Parameters
    ) -> Iterator[tuple[Place, Row]]:
        for item, start in starts:
            for number, row in enumerate(self._rows([start], parameters)):
                keys = tuple(sort_key(key(row, parameters)) for key, _ in self._order)
                yield Place(keys, item, number), row

    def keeps(self, start: Row, parameters: Parameters) -> bool:
        """Say whether a row that starts here passes the filter."""
        return next(self._rows([start], parameters), None) is not None

    def _rows(self, starts: Iterable[Row], parameters: Parameters) -> Iterator[Row]:
        rows: Iterable[Row] = starts
        for expand in self._expanders:
            rows = _expanded(rows, expand, parameters)
        where = self._where
        if where is None:
            yield from rows
            return
        for row in rows:
            if where(row, parameters) is True:
                yield row

    def _sorted(self, rows: Iterable[Row], parameters: Parameters) -> Iterator[Row]:
        # The rows of all items under one name: they come in their order, and a row number keeps it.
        placed = (
            (Place(tuple(sort_key(key(row, parameters)) for key, _ in self._order), ("", ""), number), row)
            for number, row in enumerate(rows)
        )
        return (row for _, row in in_order(placed, [descending for _, descending in self._order]))

    def _aggregate(self, rows: Iterable[Row], parameters: Parameters) -> Iterator[Row]:
        groups: dict[Any, tuple[Row, list[Any]]] = {}
        for row in rows:
            key = tuple(identity(evaluate(row, parameters)) for evaluate in self._group)
            group = groups.get(key)
            if group is None:
                group = groups[key] = (row, [AGGREGATES[name]() for name, _ in self._arguments])
            for state, (_, argument) in zip(group[1], self._arguments, strict=True):
                state.add(argument(row, parameters))
        if not groups and not self._group:
            nothing = (UNDEFINED,) * self._width
            groups[()] = (nothing, [AGGREGATES[name]() for name, _ in self._arguments])
        for row, states in groups.values():
            yield (*row, [state.result() for state in states])

    def _limited(self, results: Iterator[T], parameters: Parameters, returned: int = 0) -> Iterator[T]:
        """Apply TOP, or OFFSET and LIMIT, where some results have been returned before."""
        select = self._select
        if select.top is not None:
            return islice(results, max(0, count(select.top, "TOP", parameters) - returned))
        if select.limit is not None and select.offset is not None:
            skipped = 0 if returned else count(select.offset, "OFFSET", parameters)
            kept = max(0, count(select.limit, "LIMIT", parameters) - returned)
            return islice(results, skipped, skipped + kept)
        return results


def count(given: s.Count, clause: str, parameters: Parameters) -> int:
    """Return what TOP, OFFSET or LIMIT comes to.

    Raises
    ------
    QueryError
        It is a parameter that is missing, or no whole number from 0 on.
    """
    value: Any = given
    if isinstance(given, s.Parameter):
        if given.name not in parameters:
            raise QueryError(f"The query uses the parameter {given.name}, but no value was given for it.")
        value = parameters[given.name]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or not 0 <= value < 2**31:
        raise QueryError(f"{clause} takes a whole number from 0 to 2147483647, but got {value!r}.")
    return value


def _walk(start: Evaluate, steps: tuple[s.Node, ...], scope: Scope) -> Evaluate:
    if not steps:
        return start
    # The start is put into a slot of its own, so that the steps are an expression like any other.
    inner = scope.having("\0")
    node: s.Node = s.Identifier("\0")
    for step in steps:
        node = s.Step(node, step)
    walk = compile_node(node, inner)
    width = len(scope.names)
    return lambda row, parameters: walk((*row[:width], start(row, parameters)), parameters)


def _expander(path: Evaluate, iterated: bool) -> Expand:
    def each(row: Row, parameters: Parameters) -> Iterator[Row]:
        value = path(row, parameters)
        if type(value) is list:
            for item in value:
                yield (*row, item)

    def whole(row: Row, parameters: Parameters) -> Iterator[Row]:
        value = path(row, parameters)
        if value is not UNDEFINED:
            yield (*row, value)

    return each if iterated else whole


def _subquery_expander(selection: Subselection, iterated: bool) -> Expand:
    def expand(row: Row, parameters: Parameters) -> Iterator[Row]:
        for value in selection.produce(row, parameters):
            if not iterated:
                yield (*row, value)
            elif type(value) is list:
                for item in value:
                    yield (*row, item)

    return expand


def _expanded(rows: Iterable[Row], expand: Expand, parameters: Parameters) -> Iterator[Row]:
    made = 0
    for row in rows:
        for made, expanded in enumerate(expand(row, parameters), made + 1):  # noqa: B020  it goes on counting
            if made > MOST_ROWS:
                raise QueryError(f"A JOIN made more than {MOST_ROWS} rows; filter before it, in a subquery.")
            yield expanded


def _distinct(results: Iterable[Any]) -> Iterator[Any]:
    seen = set()
    for value in results:
        key = identity(value)
        if key not in seen:
            seen.add(key)
            yield value
