"""Clauses: projection, sources, grouping, order, paging, subqueries."""

from __future__ import annotations

from typing import Any

import pytest

from local.cosmos.query import QueryError, compile_query

PEOPLE: list[dict[str, Any]] = [
    {"id": "1", "city": "Pune", "age": 30, "tags": ["a", "b"], "kids": [{"name": "x", "n": 1}]},
    {"id": "2", "city": "Delhi", "age": 20, "tags": ["b"]},
    {
        "id": "3",
        "city": "Pune",
        "age": 40,
        "tags": [],
        "kids": [{"name": "y", "n": 2}, {"name": "z", "n": 3}],
    },
    {"id": "4", "age": 25},
]


def run(text: str, documents: list[dict[str, Any]] | None = None, **parameters: Any) -> list[Any]:
    values = {f"@{name}": value for name, value in parameters.items()}
    return compile_query(text).run(PEOPLE if documents is None else documents, values)


def test_star_gives_the_documents_themselves() -> None:
    assert run("SELECT * FROM c") == PEOPLE
    assert run("select * from root r where r.age > 35") == [PEOPLE[2]]


def test_projection_names_entries_and_drops_undefined() -> None:
    assert run("SELECT c.id, c.city AS town, c.age + 1, 'k', c['age'] FROM c WHERE c.id = '4'") == [
        {"id": "4", "$1": 26, "$2": "k", "age": 25}
    ]
    assert run("SELECT c FROM c WHERE c.id = '4'") == [{"c": PEOPLE[3]}]
    assert run("SELECT c.none FROM c WHERE c.id = '4'") == [{}]
    assert run("SELECT VALUE c.city FROM c") == ["Pune", "Delhi", "Pune"]


def test_a_query_without_from_yields_one_result() -> None:
    assert run("SELECT VALUE 1 + 1") == [2]
    assert run("SELECT 1 AS one, 'x' AS two", []) == [{"one": 1, "two": "x"}]


def test_only_true_passes_the_filter() -> None:
    assert run("SELECT VALUE c.id FROM c WHERE c.city") == []
    assert run("SELECT VALUE c.id FROM c WHERE c.city != 'Pune'") == ["2"]
    assert run("SELECT VALUE c.id FROM c WHERE NOT (c.city = 'Pune')") == ["2"]


def test_joins_multiply_and_drop_documents_without_the_array() -> None:
    assert run("SELECT c.id, t FROM c JOIN t IN c.tags") == [
        {"id": "1", "t": "a"},
        {"id": "1", "t": "b"},
        {"id": "2", "t": "b"},
    ]
    assert run("SELECT VALUE [k.n, t] FROM c JOIN k IN c.kids JOIN t IN c.tags") == [[1, "a"], [1, "b"]]
    assert run("SELECT VALUE k.name FROM c JOIN (SELECT VALUE k FROM k IN c.kids WHERE k.n > 1) AS k") == [
        "y",
        "z",
    ]


def test_from_a_path() -> None:
    assert run("SELECT VALUE k.name FROM k IN c.kids") == ["x", "y", "z"]
    assert run("SELECT * FROM k IN c.kids WHERE k.n = 2") == [{"name": "y", "n": 2}]
    assert run("SELECT * FROM c.kids") == [PEOPLE[0]["kids"], PEOPLE[2]["kids"]]
    assert run("SELECT VALUE k.name FROM c.kids[0] AS k") == ["x", "y"]


def test_streaming_queries_go_document_by_document() -> None:
    query = compile_query("SELECT VALUE t FROM c JOIN t IN c.tags WHERE c.age >= @age")
    assert query.streaming
    assert [query.results(person, {"@age": 25}) for person in PEOPLE] == [["a", "b"], [], [], []]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT VALUE COUNT(1) FROM c",
        "SELECT c.city FROM c GROUP BY c.city",
        "SELECT DISTINCT c.city FROM c",
        "SELECT TOP 1 * FROM c",
        "SELECT * FROM c ORDER BY c.id",
        "SELECT * FROM c OFFSET 0 LIMIT 1",
        "SELECT VALUE 1",
    ],
)
def test_the_rest_does_not_stream(text: str) -> None:
    assert not compile_query(text).streaming


def test_aggregates() -> None:
    assert run("SELECT VALUE COUNT(1) FROM c") == [4]
    assert run("SELECT VALUE COUNT(c.city) FROM c") == [3]
    assert run("SELECT VALUE COUNTIF(c.city = 'Pune') FROM c") == [2]
    assert run("SELECT COUNT(1) AS n, MIN(c.age) AS low, MAX(c.age), AVG(c.age) AS mean FROM c") == [
        {"n": 4, "low": 20, "$1": 40, "mean": 28.75}
    ]
    assert run("SELECT VALUE SUM(c.age) / COUNT(1) FROM c") == [28.75]
    assert run("SELECT VALUE {'n': COUNT(1)} FROM c WHERE c.age < 30") == [{"n": 2}]
    assert run("SELECT VALUE COUNT(1) FROM c JOIN t IN c.tags") == [3]


def test_aggregates_of_nothing_and_of_other_types() -> None:
    assert run("SELECT VALUE COUNT(1) FROM c", []) == [0]
    assert run("SELECT VALUE SUM(c.age) FROM c", []) == [0]
    assert run("SELECT VALUE AVG(c.age) FROM c", []) == []
    assert run("SELECT VALUE MIN(c.age) FROM c", []) == []
    assert run("SELECT COUNT(1) AS n, MAX(c.age) AS m FROM c", []) == [{"n": 0}]
    assert run("SELECT VALUE SUM(c.city) FROM c") == []
    assert run("SELECT VALUE AVG(c.id) FROM c") == []
    assert run("SELECT VALUE MAX(c.tags) FROM c") == []
    mixed: list[dict[str, Any]] = [{"v": "s"}, {"v": 3}, {"v": None}, {}, {"v": True}]
    assert run("SELECT VALUE MIN(c.v) FROM c", mixed) == [None]
    assert run("SELECT VALUE MAX(c.v) FROM c", mixed) == ["s"]
    assert run("SELECT VALUE [SUM(1), SUM(true)] FROM c", mixed) == [[5]]


def test_sums_are_exact_where_doubles_allow() -> None:
    tenths = [{"v": 0.1}] * 10
    assert run("SELECT VALUE SUM(c.v) FROM c", tenths) == [1]
    assert run("SELECT VALUE SUM(c.v) FROM c", [{"v": 0.5}] * 2501) == [1250.5]


def test_group_by() -> None:
    assert run("SELECT c.city, COUNT(1) AS n, SUM(c.age) AS years FROM c GROUP BY c.city") == [
        {"city": "Pune", "n": 2, "years": 70},
        {"city": "Delhi", "n": 1, "years": 20},
        {"n": 1, "years": 25},
    ]
    assert run("SELECT c.city FROM c GROUP BY c.city, c.none") == [{"city": "Pune"}, {"city": "Delhi"}, {}]
    assert run("SELECT VALUE UPPER(c.city) FROM c GROUP BY UPPER(c.city)") == ["PUNE", "DELHI"]
    assert run("SELECT c.city, COUNT(1) AS n FROM c GROUP BY c.city", []) == []
    grouped = [{"v": 1}, {"v": True}, {"v": 1.0}, {"v": [1]}, {"v": [True]}]
    assert run("SELECT VALUE COUNT(1) FROM c GROUP BY c.v", grouped) == [2, 1, 1, 1]


def test_order_by_type_then_value() -> None:
    values: list[Any] = ["b", 2, None, {"x": 1}, [1], True, "a", False, 1.5]
    documents: list[dict[str, Any]] = [{}, *({"v": value} for value in values)]
    ordered = [None, False, True, 1.5, 2, "a", "b", [1], {"x": 1}]
    assert run("SELECT VALUE c.v FROM c ORDER BY c.v", documents) == ordered
    assert run("SELECT * FROM c ORDER BY c.v ASC", documents)[0] == {}
    assert run("SELECT * FROM c ORDER BY c.v DESC", documents)[-1] == {}
    assert run("SELECT VALUE c.v FROM c ORDER BY c.v DESC", documents) == ordered[::-1]


def test_order_by_several_keys() -> None:
    assert run("SELECT VALUE c.id FROM c ORDER BY c.city DESC, c.age ASC") == ["1", "3", "2", "4"]
    assert run("SELECT VALUE k.name FROM c JOIN k IN c.kids ORDER BY c.age DESC") == ["y", "z", "x"]


def test_top_offset_limit_and_distinct() -> None:
    assert run("SELECT TOP 2 VALUE c.id FROM c") == ["1", "2"]
    assert run("SELECT TOP @n VALUE c.id FROM c ORDER BY c.age", n=1) == ["2"]
    assert run("SELECT TOP 0 * FROM c") == []
    assert run("SELECT VALUE c.id FROM c ORDER BY c.id OFFSET 1 LIMIT 2") == ["2", "3"]
    assert run("SELECT VALUE c.id FROM c OFFSET @o LIMIT @l", o=3, l=5) == ["4"]
    assert run("SELECT DISTINCT c.city FROM c") == [{"city": "Pune"}, {"city": "Delhi"}, {}]
    assert run("SELECT DISTINCT TOP 1 VALUE t FROM c JOIN t IN c.tags") == ["a"]
    assert run("SELECT DISTINCT VALUE c.v FROM c", [{"v": 1}, {"v": True}, {"v": 1.0}, {"v": "1"}]) == [
        1,
        True,
        "1",
    ]
    assert run("SELECT DISTINCT VALUE t FROM c JOIN t IN c.tags ORDER BY c.age") == ["b", "a"]


def test_an_aggregate_is_the_same_in_any_order() -> None:
    assert run("SELECT VALUE SUM(c.n) FROM c ORDER BY c.n DESC", [{"n": 1}, {"n": 2}]) == [3]
    plan = compile_query("SELECT VALUE SUM(c.n) FROM c ORDER BY c.n").plan({})["queryInfo"]
    assert plan["orderBy"] == []
    assert "ORDER BY" not in plan["rewrittenQuery"]


def test_subqueries() -> None:
    assert run("SELECT VALUE c.id FROM c WHERE EXISTS(SELECT VALUE t FROM t IN c.tags WHERE t = 'a')") == [
        "1"
    ]
    assert run("SELECT VALUE ARRAY(SELECT VALUE k.n * c.age FROM k IN c.kids) FROM c WHERE c.id = '3'") == [
        [80, 120]
    ]
    assert run("SELECT c.id, (SELECT VALUE COUNT(1) FROM t IN c.tags) AS n FROM c WHERE c.age > 29") == [
        {"id": "1", "n": 2},
        {"id": "3", "n": 0},
    ]
    assert run("SELECT VALUE (SELECT VALUE MAX(k.n) FROM k IN c.kids) FROM c") == [1, 3]
    assert run("SELECT VALUE ARRAY(SELECT TOP 1 VALUE k.n FROM k IN c.kids) FROM c") == [[1], [], [2], []]
    with pytest.raises(QueryError, match="cardinality"):
        run("SELECT VALUE (SELECT VALUE k FROM k IN c.kids) FROM c")


def test_inner_names_hide_outer_ones() -> None:
    assert run("SELECT VALUE ARRAY(SELECT VALUE c FROM c IN c.tags) FROM c WHERE c.id = '1'") == [["a", "b"]]


def test_a_query_is_compiled_once() -> None:
    assert compile_query("SELECT * FROM c") is compile_query("SELECT * FROM c")


def test_an_execution_sees_its_own_parameters() -> None:
    query = compile_query("SELECT VALUE c.id FROM c WHERE c.id IN (@a)")
    parameters = {"@a": "1"}
    assert query.run(PEOPLE, parameters) == ["1"]
    parameters["@a"] = "2"
    assert query.run(PEOPLE, parameters) == ["2"]
    assert query.results(PEOPLE[2], {"@a": "3"}) == ["3"]
    assert query.results(PEOPLE[2], {"@a": "4"}) == []
