"""The query plan: what a client has to know to merge the results of several physical partitions.

The client sends the rewritten query to each partition and merges what comes back: by ``orderByItems``, by the
aggregates' ``item``, by TOP, OFFSET and LIMIT, by DISTINCT.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from local.cosmos.query import syntax as s
from local.cosmos.query.checks import aggregates_of
from local.cosmos.query.errors import UnsupportedError
from local.cosmos.query.grammar import ORDER_BY_FILTER
from local.cosmos.query.selection import count

_AGGREGATE_NAMES = {
    "COUNT": "Count",
    "COUNTIF": "CountIf",
    "SUM": "Sum",
    "AVG": "Average",
    "MIN": "Min",
    "MAX": "Max",
}

EVERYWHERE = [{"min": "", "max": "FF", "isMinInclusive": True, "isMaxInclusive": False}]


def plan_of(select: s.Select, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan, as the gateway does.

    Raises
    ------
    QueryError
        TOP, OFFSET or LIMIT is a parameter without a usable value.
    UnsupportedError
        The results of partitions cannot be merged: an expression over aggregates.
    """
    info = _bare_info(select, parameters)
    if select.group:
        info |= _grouped(select)
    elif aggregates_of(select):
        info |= _aggregated(select)
    elif select.order:
        info |= _ordered(select, parameters)
    elif select.limit is not None:
        info["rewrittenQuery"] = _text(select, _projection(select), limit=_reach(select, parameters))
    return {"partitionedQueryExecutionInfoVersion": 2, "queryInfo": info, "queryRanges": EVERYWHERE}


def _bare_info(select: s.Select, parameters: Mapping[str, Any]) -> dict[str, Any]:
    top = None if select.top is None else count(select.top, "TOP", parameters)
    if not select.sources:
        top = 1 if top is None else min(top, 1)  # no partition has more to say than another
    return {
        "distinctType": _distinct_type(select),
        "top": top,
        "offset": None if select.offset is None else count(select.offset, "OFFSET", parameters),
        "limit": None if select.limit is None else count(select.limit, "LIMIT", parameters),
        "orderBy": [],
        "orderByExpressions": [],
        "groupByExpressions": [],
        "groupByAliases": [],
        "aggregates": [],
        "groupByAliasToAggregateType": {},
        "rewrittenQuery": "",
        "hasSelectValue": select.value is not None,
        "dCountInfo": None,
        "hasNonStreamingOrderBy": False,
    }


def _distinct_type(select: s.Select) -> str:
    """Equal results follow each other where the query sorts by all that it selects, and by nothing else."""
    if not select.distinct:
        return "None"
    selected = {s.bare(expression.node) for expression in select.projected}
    sorted_by = {s.bare(key.expression.node) for key in select.order}
    return "Ordered" if selected == sorted_by else "Unordered"


def features_of(select: s.Select) -> frozenset[str]:
    """Return what a client must be able to merge, by the names it lists in its request for a plan."""
    features = {
        "Distinct": select.distinct,
        "Top": select.top is not None,
        "OffsetAndLimit": select.limit is not None,
        "OrderBy": bool(select.order) and not aggregates_of(select),
        "MultipleOrderBy": len(select.order) > 1 and not aggregates_of(select),
        "GroupBy": bool(select.group),
        "Aggregate": bool(aggregates_of(select)),
        "NonValueAggregate": bool(aggregates_of(select)) and select.value is None,
        "CountIf": any(call.name == "COUNTIF" for call in aggregates_of(select)),
    }
    return frozenset(name for name, needed in features.items() if needed)


def counts_only(select: s.Select) -> bool:
    """Say whether a query counts items and needs nothing of them, as COUNT(1) over one source does."""
    calls = aggregates_of(select)
    counts = all(call.name == "COUNT" and isinstance(call.arguments[0], s.Literal) for call in calls)
    return bool(calls) and counts and not select.group and len(select.sources) == 1


def _reach(select: s.Select, parameters: Mapping[str, Any]) -> str:
    """Return the LIMIT under which a partition gives all that the merged page may need of it."""
    if select.limit is None or select.offset is None:
        return ""
    reach = count(select.offset, "OFFSET", parameters) + count(select.limit, "LIMIT", parameters)
    return f" OFFSET 0 LIMIT {reach}"


def _projection(select: s.Select) -> str:
    if select.value:
        return f"VALUE {select.value.text}"
    if select.star:
        return "*"
    # Entries without an alias that have a name by their position get it in so many words.
    return "VALUE " + _payload(select)


def _payload(select: s.Select) -> str:
    if select.value:
        return select.value.text
    if select.star:
        return select.sources[0].alias
    return "{" + ", ".join(f"{json.dumps(i.alias)}: {i.expression.text}" for i in select.items) + "}"


def _sources(select: s.Select) -> str:
    if not select.sources:
        return ""
    return " FROM " + " JOIN ".join(source.text for source in select.sources)


def _text(
    select: s.Select,
    projection: str,
    *,
    distinct: bool | None = None,
    filters: tuple[str, ...] = (),
    tail: str = "",
    top: bool = True,
    limit: str = "",
) -> str:
    head = "SELECT "
    if select.distinct if distinct is None else distinct:
        head += "DISTINCT "
    if top and select.top is not None:
        head += f"TOP {select.top.name if isinstance(select.top, s.Parameter) else select.top} "
    conditions = [f"({select.where.text})"] if select.where else []
    conditions += [f"({condition})" for condition in filters]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return head + projection + _sources(select) + where + tail + limit


def _ordered(select: s.Select, parameters: Mapping[str, Any]) -> dict[str, Any]:
    keys = [key.expression.text for key in select.order]
    alias = select.sources[0].alias
    items = ", ".join(f'{{"item": {key}}}' for key in keys)
    filters: tuple[str, ...] = (ORDER_BY_FILTER,)
    if select.value:
        # A row whose value is undefined yields nothing; as a payload it would be an entry without one.
        filters = (f"IS_DEFINED({select.value.text})", *filters)
    identity = "" if select.distinct else f"{alias}._rid AS _rid, "
    tail = " ORDER BY " + ", ".join(
        f"{key.expression.text} {'DESC' if key.descending else 'ASC'}" for key in select.order
    )
    # Rows that are distinct with their sort keys need not be so without: only the client can count them.
    bounded = not select.distinct
    return {
        "orderBy": ["Descending" if key.descending else "Ascending" for key in select.order],
        "orderByExpressions": keys,
        "rewrittenQuery": _text(
            select,
            f"{identity}[{items}] AS orderByItems, {_payload(select)} AS payload",
            filters=filters,
            tail=tail,
            top=bounded,
            limit=_reach(select, parameters) if bounded else "",
        ),
    }


def _partial(call: s.Call) -> str:
    """Return the expression for one partition's share of an aggregate."""
    if call.name == "AVG":
        return f'{{"sum": SUM({call.text}), "count": COUNT({call.text})}}'
    return f"{call.name}({call.text})"


def _aggregated(select: s.Select) -> dict[str, Any]:
    calls = aggregates_of(select)
    if select.distinct:
        raise UnsupportedError("DISTINCT together with aggregates across partitions")
    if select.value is None:
        # Clients refuse aggregates without VALUE across partitions; they see by these fields that it is one.
        return {
            "aggregates": [_AGGREGATE_NAMES[call.name] for call in calls],
            "groupByAliases": [item.alias for item in select.items],
            "groupByAliasToAggregateType": _types(select),
        }
    if s.bare(select.value.node) is not calls[0]:
        raise UnsupportedError("An expression over aggregates across partitions")
    call = calls[0]
    return {
        "aggregates": [_AGGREGATE_NAMES[call.name]],
        "rewrittenQuery": _text(select, f'VALUE [{{"item": {_partial(call)}}}]', top=False),
    }


def _types(select: s.Select) -> dict[str, str | None]:
    types: dict[str, str | None] = {}
    for item in select.items:
        node = s.bare(item.expression.node)
        types[item.alias] = _AGGREGATE_NAMES.get(node.name) if isinstance(node, s.Call) else None
    return types


def _grouped(select: s.Select) -> dict[str, Any]:
    """Group in each partition; the client merges groups with equal ``groupByItems``."""
    keys = [key.text for key in select.group]
    entries = []
    for name, written in _entries(select):
        calls = aggregates_of_written(written)
        if not calls:
            entries.append(f"{json.dumps(name)}: {written.text}")
        elif s.bare(written.node) is calls[0]:
            entries.append(f'{json.dumps(name)}: {{"item": {_partial(calls[0])}}}')
        else:
            raise UnsupportedError("An expression over aggregates across partitions")
    payload = entries[0].split(": ", 1)[1] if select.value else "{" + ", ".join(entries) + "}"
    items = ", ".join(f'{{"item": {key}}}' for key in keys)
    calls = aggregates_of(select)
    return {
        "groupByExpressions": keys,
        "groupByAliases": [item.alias for item in select.items],
        "groupByAliasToAggregateType": _types(select),
        "aggregates": [_AGGREGATE_NAMES[call.name] for call in calls] if select.value else [],
        "rewrittenQuery": _text(
            select,
            f"[{items}] AS groupByItems, {payload} AS payload",
            tail=f" GROUP BY {', '.join(keys)}",
            top=False,
        ),
    }


def _entries(select: s.Select) -> list[tuple[str, s.Written]]:
    if select.value:
        return [("value", select.value)]
    return [(item.alias, item.expression) for item in select.items]


def aggregates_of_written(written: s.Written) -> list[s.Call]:
    """Return the aggregates in one expression."""
    return aggregates_of(s.Select(False, None, written, (), (), None, (), (), None, None))
