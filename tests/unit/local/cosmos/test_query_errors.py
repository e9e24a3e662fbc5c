"""What is refused, and how it says so."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from local.cosmos.query import QueryError, UnsupportedError, compile_query

ELEVEN_JOINS = [f"JOIN t{n} IN c.t" for n in range(11)]


@pytest.mark.parametrize(
    ("text", "message", "location"),
    [
        ("SELEC * FROM c", "incorrect syntax near 'SELEC'", (0, 5)),
        ("SELECT * FROM c WHERE c.a ==", "near '='", (27, 28)),
        ("SELECT * FROM", "unexpected end of the query", (13, 13)),
        ("SELECT c.value FROM c", "incorrect syntax near 'value'", (9, 14)),
        ("SELECT c.a AS order FROM c", "incorrect syntax near 'order'", (14, 19)),
        ("SELECT 'a FROM c", "starts at character 7 has no end", (7, 16)),
        ("SELECT * FROM c OFFSET 1", "unexpected end", (24, 24)),
    ],
)
def test_syntax_errors_have_a_place(text: str, message: str, location: tuple[int, int]) -> None:
    with pytest.raises(QueryError, match=message) as caught:
        compile_query(text)
    assert caught.value.location == location


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT d.a FROM c", "'d' could not be resolved; the names in scope: 'c'"),
        ("SELECT c.a FROM c x", "'c' could not be resolved"),
        ("SELECT * FROM c JOIN t IN c.t", "single input set"),
        ("SELECT *", "FROM clause is omitted"),
        ("SELECT c.a, c.b.a FROM c", "'a' is selected twice"),
        ("SELECT t FROM c JOIN t IN c.a JOIN t IN c.b", "'t' is used for two sources"),
        ("SELECT TOP 1.5 * FROM c", "TOP takes a whole number"),
        ("SELECT TOP 1 * FROM c OFFSET 0 LIMIT 1", "TOP cannot be used together"),
        ("SELECT c.a FROM c GROUP BY c.a ORDER BY c.a", "'ORDER BY' cannot be used together with GROUP BY"),
        ("SELECT c.a, COUNT(1) FROM c", "'c' is invalid in the SELECT list"),
        ("SELECT c.b FROM c GROUP BY c.a", "'c' is invalid in the SELECT list"),
        ("SELECT * FROM c WHERE c.a = NULL", "near 'NULL'"),
        ("SELECT * FROM c WHERE c.a = True", "near 'True'"),
        ("SELECT * FROM c WHERE COUNT(1) > 1", "aggregate COUNT can only be used in the SELECT list"),
        ("SELECT VALUE SUM(COUNT(1)) FROM c", "aggregate COUNT can only be used"),
        ("SELECT VALUE COUNT() FROM c", "COUNT function requires 1 argument"),
        ("SELECT VALUE LOWER() FROM c", "LOWER function requires 1 argument.s., but got 0"),
        ("SELECT VALUE CONTAINS(c.a) FROM c", "requires 2 to 3 argument"),
        ("SELECT VALUE c.a LIKE 'x' ESCAPE '!!' FROM c", "ESCAPE takes a single character"),
    ],
)
def test_what_makes_no_sense(text: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        compile_query(text)


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("SELECT FROM c", "SC1001", "Syntax error, incorrect syntax near 'FROM'"),
        ("SELECT c.a FROM c GROUP BY c.a HAVING COUNT(1) > 1", "SC1001", "near 'HAVING'"),
        ("SELECT d.a FROM c", "SC2001", "Identifier 'd' could not be resolved"),
        ("SELECT VALUE ARRAY(SELECT VALUE t FROM t IN c.a ORDER BY t) FROM c", "SC2202", "in subqueries"),
        ("SELECT VALUE EXISTS(SELECT t FROM t IN c.a OFFSET 0 LIMIT 1) FROM c", "SC2204", "in subqueries"),
        ("SELECT * FROM c ORDER BY c.a + 1", "SC2206", "mapped to a document path: c.a + 1"),
        ("SELECT TOP 1 * FROM c ORDER BY VectorDistance(c.v, [1])", "SC2206", "VectorDistance"),
        ("SELECT c.a FROM c JOIN t IN c.a ORDER BY t.b", "", "Order-by over correlated collections"),
    ],
)
def test_errors_of_the_service_have_its_code(text: str, code: str, message: str) -> None:
    with pytest.raises(QueryError, match=re.escape(message)) as caught:
        compile_query(text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "construct"),
    [
        ("SELECT VALUE udf.tax(c.a) FROM c", "user-defined function 'tax'"),
        ("SELECT VALUE ST_DISTANCE(c.a, c.b) FROM c", "function ST_DISTANCE"),
        ("SELECT * FROM t IN c.tags ORDER BY t", "ORDER BY together with FROM a part of the items"),
        ("SELECT * FROM (SELECT VALUE c FROM c) AS x", "subquery as the first source of FROM"),
        ("SELECT * FROM c WHERE NOT c.a = 1", "NOT in front of an operand without parentheses"),
        ("SELECT * FROM c WHERE NOT c.a IN (1)", "NOT in front of an operand without parentheses"),
        ("SELECT * FROM c WHERE c.a & 4 = 4", "'&' beside '=' without parentheses"),
        ("SELECT * FROM c WHERE 'ab' = c.a || c.b", "'[|][|]' beside '=' without parentheses"),
        ("SELECT * FROM c WHERE c.a = c.b < c.d", "'=' beside '<' without parentheses"),
        ("SELECT VALUE TOSTRING(NaN) FROM c", "The number NaN"),
        ("SELECT * FROM c ORDER BY RANK FullTextScore(c.a, 'x')", "ORDER BY RANK"),
        ("SELECT VALUE FIRST(SELECT VALUE t FROM t IN c.t) FROM c", "FIRST.SELECT"),
    ],
)
def test_what_is_not_supported_is_named(text: str, construct: str) -> None:
    with pytest.raises(UnsupportedError, match=construct) as caught:
        compile_query(text)
    assert "is not supported by the local server" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT VALUE 1 -- " + "x" * 512 * 1024, "at most 524288"),
        ("SELECT VALUE " + "(" * 5000 + "1" + ")" * 5000, "nested more than"),
        ("SELECT VALUE " + "ABS(" * 5000 + "1" + ")" * 5000, "nested more than"),
        ("SELECT VALUE " + "NOT " * 5000 + "true", "nested more than"),
        ("SELECT VALUE " + "true ? 1 : " * 5000 + "1", "nested more than"),
        ("SELECT VALUE c" + ".a" * 5000 + " FROM c", "levels deep"),
        ("SELECT VALUE 1" + " + 1" * 5000, "levels deep"),
        ("SELECT VALUE " + "9" * 5000, "at most 400"),
        ("SELECT VALUE " + "9" * 399, "out of range"),
        (" ".join(["SELECT VALUE 1 FROM c", *ELEVEN_JOINS]), "at most 10 JOINs"),
    ],
    ids=lambda value: value[:30],
)
def test_bounds(text: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        compile_query(text)


def test_what_is_just_within_the_bounds_runs() -> None:
    deep = "ABS(" * 55 + "-1" + ")" * 55
    assert compile_query(f"SELECT VALUE {deep}").run([], {}) == [1]
    many = " OR ".join(f"c.n = {n}" for n in range(5000))
    chosen = compile_query(f"SELECT VALUE c.n FROM c WHERE {many}")  # noqa: S608  what is tested
    assert chosen.run([{"n": 4999}, {"n": -1}], {}) == [4999]
    assert compile_query("SELECT VALUE 1" + " + 1" * 200).run([], {}) == [201]


@pytest.mark.parametrize("given_top", [-1, 1.5, True, "3", None])
def test_counts_from_parameters_are_checked(given_top: object) -> None:
    with pytest.raises(QueryError, match="TOP takes a whole number"):
        compile_query("SELECT TOP @n * FROM c").run([], {"@n": given_top})


def test_patterns_are_checked_when_they_run() -> None:
    with pytest.raises(QueryError, match="not valid"):
        compile_query("SELECT VALUE RegexMatch('a', '(')").run([], {})
    with pytest.raises(QueryError, match="modifiers m, s, i and x"):
        compile_query("SELECT VALUE RegexMatch('a', 'a', 'q')").run([], {})


WORDS = st.sampled_from(
    [
        *(
            "SELECT",
            "*",
            "FROM",
            "c",
            "WHERE",
            "c.a",
            "t",
            "JOIN",
            "IN",
            "ORDER",
            "BY",
            "GROUP",
            "TOP",
            "VALUE",
        ),
        *("DISTINCT", "OFFSET", "LIMIT", "AND", "OR", "NOT", "BETWEEN", "LIKE", "EXISTS", "ARRAY", "null"),
        *(
            "undefined",
            "COUNT(1)",
            "ABS(",
            "1",
            "'x'",
            "@p",
            "=",
            "??",
            "?",
            ":",
            "+",
            "-",
            "~",
            "||",
            ",",
            ".",
        ),
        *("(", ")", "[", "]", "{", "}", '"', "'", "\\", "é", "\0"),
    ]
)


@given(st.lists(WORDS, max_size=14).map(" ".join) | st.text(max_size=40))
@example("SELECT VALUE '\\ud800' FROM c")
@example("SELECT VALUE -'x'")
@example("SELECT VALUE 0x" + "F" * 300)
def test_any_text_is_answered_or_refused(text: str) -> None:
    try:
        query = compile_query(text)
        query.run([{"a": 1, "t": [1]}], {"@p": 1})
        plan = query.plan({"@p": 1})
    except QueryError as error:
        refused = error.message
        plan = None
    if plan is None:
        assert refused
    elif rewritten := plan["queryInfo"]["rewrittenQuery"]:
        assert compile_query(rewritten).text == rewritten
