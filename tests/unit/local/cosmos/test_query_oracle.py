"""Any query of a small grammar over any documents gives what a naive evaluation gives."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.cosmos.query import compile_query
from tests.unit.local.cosmos import query_oracle as oracle
from tests.unit.local.cosmos.query_oracle import (
    DOCUMENTS,
    EXPRESSIONS,
    PATHS,
    SORTABLE,
    UNDEFINED,
    Document,
    Expression,
)

EXAMPLES = settings(max_examples=300, deadline=None)
KEYS = st.lists(st.tuples(st.sampled_from(SORTABLE), st.booleans()), min_size=1, max_size=3)


def run(text: str, documents: list[Document]) -> list[Any]:
    return compile_query(text).run(documents, {})


def multiset(values: list[Any]) -> Counter[str]:
    return Counter(map(oracle.canonical, values))


@pytest.mark.parametrize("operator", oracle.BINARY)
def test_an_operator_on_every_pair_of_values(operator: str) -> None:
    pairs = [(left, right) for left in oracle.EVERY_KIND for right in oracle.EVERY_KIND]
    documents = [
        {name: value for name, value in zip("ab", pair, strict=True) if value is not UNDEFINED}
        for pair in pairs
    ]
    found = run(f"SELECT c.a {operator} c.b AS x FROM c", documents)  # noqa: S608
    for pair, result in zip(pairs, found, strict=True):
        expected = oracle.BINARY[operator](*pair)
        wanted = {} if expected is UNDEFINED else {"x": expected}
        assert oracle.canonical(result) == oracle.canonical(wanted), pair


@EXAMPLES
@given(DOCUMENTS, EXPRESSIONS, EXPRESSIONS)
def test_projection_and_filter(documents: list[Document], shown: Expression, condition: Expression) -> None:
    found = run(f"SELECT VALUE {shown.text} FROM c WHERE {condition.text}", documents)  # noqa: S608
    expected = [shown.of(document) for document in oracle.kept(documents, condition)]
    assert list(map(oracle.canonical, found)) == [oracle.canonical(v) for v in expected if v is not UNDEFINED]


@EXAMPLES
@given(DOCUMENTS, KEYS, st.data())
def test_sorting_with_a_limit(
    documents: list[Document], keys: list[tuple[Expression, bool]], data: st.DataObject
) -> None:
    skipped, taken = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 8))
    order = ", ".join(f"{key.text} {'DESC' if down else 'ASC'}" for key, down in keys)
    text = f"SELECT VALUE c FROM c ORDER BY {order} OFFSET {skipped} LIMIT {taken}"  # noqa: S608
    found = run(text, documents)
    expected = oracle.ordered(documents, keys)[skipped : skipped + taken]
    # Where all keys are equal the order is free.
    assert len(found) == len(expected)
    for document, other in zip(found, expected, strict=True):
        assert all(oracle.compare(key.of(document), key.of(other)) == 0 for key, _ in keys)


@EXAMPLES
@given(DOCUMENTS, EXPRESSIONS)
def test_distinct_values(documents: list[Document], shown: Expression) -> None:
    found = run(f"SELECT DISTINCT VALUE {shown.text} FROM c", documents)  # noqa: S608
    values = [shown.of(document) for document in documents]
    assert multiset(found) == Counter({oracle.canonical(v) for v in values if v is not UNDEFINED})


@EXAMPLES
@given(DOCUMENTS, st.sampled_from(PATHS), st.sampled_from(PATHS))
def test_groups(documents: list[Document], key: Expression, summed: Expression) -> None:
    text = (
        f"SELECT {key.text} AS k, COUNT(1) AS rows, COUNT({summed.text}) AS defined, "  # noqa: S608
        f"SUM({summed.text}) AS total, MIN({summed.text}) AS low FROM c GROUP BY {key.text}"
    )
    groups: dict[str, list[Document]] = {}
    for document in documents:
        groups.setdefault(oracle.kind(key.of(document)) + name_of(key.of(document)), []).append(document)
    expected = [aggregated(key.of(members[0]), members, summed) for members in groups.values()]
    assert multiset(run(text, documents)) == multiset(expected)


def name_of(value: Any) -> str:
    return "" if value is UNDEFINED else oracle.canonical(value)


def aggregated(key: Any, members: list[Document], summed: Expression) -> dict[str, Any]:
    values = [value for member in members if (value := summed.of(member)) is not UNDEFINED]
    kinds = {oracle.kind(value) for value in values}
    group: dict[str, Any] = {"k": key, "rows": len(members), "defined": len(values)}
    group["total"] = total(values) if kinds <= {"number"} else UNDEFINED
    group["low"] = UNDEFINED
    if values and not kinds & {"array", "object"}:
        low = values[0]
        for value in values:
            low = value if oracle.compare(value, low) < 0 else low
        group["low"] = low
    return {name: value for name, value in group.items() if value is not UNDEFINED}


def total(values: list[float]) -> Any:
    exact = sum(int(value * 10**9) for value in values if abs(value) < 1e9)
    large = sum(value for value in values if abs(value) >= 1e9)
    return large + exact / 10**9 if large else exact / 10**9


@EXAMPLES
@given(DOCUMENTS, EXPRESSIONS)
def test_joins(documents: list[Document], condition: Expression) -> None:
    found = run(
        f"SELECT c.id, t FROM c JOIN t IN c.list WHERE {condition.text}",  # noqa: S608
        documents,
    )
    expected = [
        {"id": document["id"], "t": element}
        for document in oracle.kept(documents, condition)
        if oracle.kind(document.get("list", UNDEFINED)) == "array"
        for element in document["list"]
    ]
    assert list(map(oracle.canonical, found)) == list(map(oracle.canonical, expected))


@EXAMPLES
@given(DOCUMENTS, EXPRESSIONS)
def test_subqueries(documents: list[Document], sought: Expression) -> None:
    found = run(
        "SELECT VALUE [EXISTS(SELECT VALUE t FROM t IN c.list WHERE t = "  # noqa: S608
        f"{sought.text}), ARRAY(SELECT VALUE t FROM t IN c.list WHERE t != {sought.text})] FROM c",
        documents,
    )
    expected = []
    for document in documents:
        elements = document.get("list")
        elements = elements if isinstance(elements, list) else []
        value = sought.of(document)
        expected.append(
            [
                any(oracle.COMPARISONS["="](element, value) is True for element in elements),
                [element for element in elements if oracle.COMPARISONS["!="](element, value) is True],
            ]
        )
    assert list(map(oracle.canonical, found)) == list(map(oracle.canonical, expected))
