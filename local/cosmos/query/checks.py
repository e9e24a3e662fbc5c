"""What a query may not be, beyond its grammar: clauses that do not go together, as in the service."""

from __future__ import annotations

from local.cosmos.query import syntax as s
from local.cosmos.query.aggregates import AGGREGATES
from local.cosmos.query.errors import (
    LIMIT_IN_SUBQUERY,
    ORDER_IN_SUBQUERY,
    UNSORTABLE,
    QueryError,
    UnsupportedError,
)

MOST_JOINS = 10
"""The service's limit."""

DEEPEST_EXPRESSION = 250
"""Levels of an expression; compiling and evaluating it recurses a frame or two for each."""


def aggregates_of(select: s.Select) -> list[s.Call]:
    """Return the aggregates of its SELECT list, those of its subqueries not among them."""
    found: list[s.Call] = []
    pending = [expression.node for expression in reversed(select.projected)]
    while pending:
        node = pending.pop()
        if isinstance(node, s.Call) and node.name in AGGREGATES:
            found.append(node)
        else:
            pending.extend(s.children(node))
    return found


def check(select: s.Select, *, outermost: bool) -> None:
    """Refuse what the grammar allows and the service does not.

    Raises
    ------
    QueryError
        The clauses of the query do not go together.
    UnsupportedError
        They do in the service, but not here.
    """
    if not outermost and select.order:
        raise QueryError("'ORDER BY' is not supported in subqueries.", None, ORDER_IN_SUBQUERY)
    if not outermost and select.limit is not None:
        message = "'OFFSET LIMIT' clause is not supported in subqueries."
        raise QueryError(message, None, LIMIT_IN_SUBQUERY)
    if select.star and not select.sources:
        raise QueryError("'SELECT *' is not valid if the FROM clause is omitted.")
    if select.star and len(select.sources) > 1:
        raise QueryError("'SELECT *' is only valid with a single input set; name what to select.")
    if select.star and select.group:
        raise QueryError("'SELECT *' is not valid with GROUP BY; name what to select.")
    if select.order and select.group:
        raise QueryError("'ORDER BY' cannot be used together with GROUP BY.")
    if select.distinct and select.group:
        raise UnsupportedError("DISTINCT together with GROUP BY")
    if len(select.sources) > MOST_JOINS + 1:
        raise QueryError(f"A query has at most {MOST_JOINS} JOINs, not {len(select.sources) - 1}.")
    aliases = [source.alias for source in select.sources]
    for alias in aliases:
        if aliases.count(alias) > 1:
            raise QueryError(f"The alias '{alias}' is used for two sources of one FROM.")
    for key in select.order:
        _check_sorted(select, key.expression)


def _check_sorted(select: s.Select, key: s.Written) -> None:
    root = _root_of(key.node)
    if root is None:
        raise QueryError(
            "Unsupported ORDER BY clause. ORDER BY item expression could not be mapped to a document path: "
            f"{key.text}",
            None,
            UNSORTABLE,
        )
    if not select.sources:
        return  # the name is resolved later, and is unknown
    first, *joined = select.sources
    if any(source.alias == root for source in joined):
        raise QueryError("Order-by over correlated collections is not supported.")
    if first.iterated or first.steps:
        raise UnsupportedError("ORDER BY together with FROM a part of the items")


def _root_of(node: s.Node) -> str | None:
    """Return the alias that a path of properties and array positions starts from; None if it is no path."""
    node = s.bare(node)
    while isinstance(node, s.Step) and isinstance(node.key, s.Literal):
        node = s.bare(node.base)
    return node.name if isinstance(node, s.Identifier) else None


def check_grouped(node: s.Node, keys: set[s.Node]) -> None:
    """Refuse a part of a SELECT list that is neither grouped by nor aggregated."""
    if node in keys or (isinstance(node, s.Call) and node.name in AGGREGATES):
        return
    if isinstance(node, s.Identifier):
        raise QueryError(
            f"Property reference '{node.name}' is invalid in the SELECT list because it is contained neither "
            "in an aggregate function nor in the GROUP BY clause."
        )
    if isinstance(node, s.Subquery):
        raise UnsupportedError("A subquery in the SELECT list of an aggregate query")
    for child in s.children(node):
        check_grouped(child, keys)


def _parts_of(select: s.Select) -> list[s.Node]:
    written = [*select.projected, *select.group, *(key.expression for key in select.order)]
    nodes = [expression.node for expression in written]
    if select.where:
        nodes.append(select.where.node)
    for source in select.sources:
        nodes.extend(source.steps)
        if source.select is not None:
            nodes.extend(_parts_of(source.select))
    return nodes


def parameters_of(select: s.Select) -> frozenset[str]:
    """Return the parameters that a query uses anywhere, subqueries included."""
    found = {count.name for count in _counts_of(select) if isinstance(count, s.Parameter)}
    pending = _parts_of(select)
    while pending:
        node = pending.pop()
        if isinstance(node, s.Parameter):
            found.add(node.name)
        elif isinstance(node, s.Subquery):
            found |= parameters_of(node.select)
        else:
            pending.extend(s.children(node))
    for source in select.sources:
        if source.select is not None:
            found |= parameters_of(source.select)
    return frozenset(found)


def _counts_of(select: s.Select) -> tuple[s.Count | None, ...]:
    return select.top, select.offset, select.limit


def check_depth(select: s.Select) -> None:
    """Refuse expressions that are too deep to be compiled and evaluated."""
    level = _parts_of(select)
    depth = 0
    while level:
        depth += 1
        if depth > DEEPEST_EXPRESSION:
            raise QueryError(f"An expression is more than {DEEPEST_EXPRESSION} levels deep; make it flatter.")
        below: list[s.Node] = []
        for node in level:
            below.extend(_parts_of(node.select) if isinstance(node, s.Subquery) else s.children(node))
        level = below
