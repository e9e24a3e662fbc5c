"""What an index may narrow a query to, and that it never loses a match."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.cosmos.query import AnyOf, Bounds, Seek, Term, compile_query


def seek(condition: str, **parameters: Any) -> tuple[Seek, ...]:
    query = compile_query(f"SELECT * FROM c WHERE {condition}")  # noqa: S608  what is tested
    return query.seek({f"@{name}": value for name, value in parameters.items()})


def terms(path: str, *values: Any) -> AnyOf:
    return AnyOf(tuple(Term(path, value) for value in values))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("c.view = 'x'", (terms("/view/?", "x"),)),
        ("'x' = c.view", (terms("/view/?", "x"),)),
        ("c.a.b = @p", (terms("/a/b/?", 7),)),
        ("c['odd name'] = null", (terms('/"odd name"/?', None),)),
        ("c.a IN (1, @p, 1)", (terms("/a/?", 1, 7),)),
        ("ARRAY_CONTAINS(c.ids, @p)", (terms("/ids/[]/?", 7),)),
        ("ARRAY_CONTAINS(@list, c.a)", (terms("/a/?", "u", "v"),)),
        ("ARRAY_CONTAINS(c.ids, 1) OR (ARRAY_CONTAINS(c.ids, 2))", (terms("/ids/[]/?", 1, 2),)),
        (
            "c.kind = 'k' AND (ARRAY_CONTAINS(c.ids, 1) OR ARRAY_CONTAINS(c.ids, 2)) AND c.id = 'i'",
            (terms("/id/?", "i"), terms("/ids/[]/?", 1, 2), terms("/kind/?", "k")),
        ),
        ("c.a = 1 OR (c.b = 2 AND c.x > 1)", (AnyOf((Term("/a/?", 1), Term("/b/?", 2))),)),
        ("c.a >= 1 AND c.a < 5", (Bounds("/a/?", 1, 5, True, False),)),
        ("1 < c.a", (Bounds("/a/?", 1, None, low_inclusive=False),)),
        ("c.a BETWEEN 'a' AND 'b'", (Bounds("/a/?", "a", "b"),)),
        ("c.a >= 1 AND c.a <= 'x'", (Bounds("/a/?", 1, None), Bounds("/a/?", None, "x"))),
        # what can be true without any term narrows nothing
        ("c.a = 1 OR c.b > 2", ()),
        ("NOT (c.a = 1)", ()),
        ("c.a != 1", ()),
        ("c.a = c.b", ()),
        ("c.a = {'b': 1}", ()),
        ("c.a = @missing", ()),
        ("c.a IN (1, c.b)", ()),
        ("c.a = undefined", ()),
        ("c.arr[0] = 1", ()),
        ("c.a > null", ()),
    ],
)
def test_conjuncts_that_an_index_serves(condition: str, expected: tuple[Seek, ...]) -> None:
    assert seek(condition, p=7, list=["u", "v"]) == expected


def test_only_the_item_itself_is_sought() -> None:
    joined = compile_query("SELECT VALUE t FROM c JOIN t IN c.tags WHERE t.a = 1 AND c.b = 2")
    assert joined.seek({}) == (terms("/b/?", 2),)
    assert compile_query("SELECT * FROM t IN c.tags WHERE t.a = 1").seek({}) == ()
    assert compile_query("SELECT * FROM c").seek({}) == ()


SCALARS = st.sampled_from([None, True, False, 0, 1, 2, 1.5, "a", "b"])
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.just({"x": 1})
DOCUMENTS = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "ids"]), VALUES, max_size=3), min_size=1, max_size=5
)
LITERALS = st.sampled_from(["null", "true", "0", "1", "1.5", "'a'", "'b'", "@p", "[1]"])


def conditions() -> st.SearchStrategy[str]:
    path = st.sampled_from(["c.a", "c.b", "c.ids", "c.a.x"])
    leaf = (
        st.builds("{} {} {}".format, path, st.sampled_from(["=", "!=", "<", ">="]), LITERALS)
        | st.builds("{1} {2} {0}".format, path, LITERALS, st.sampled_from(["=", "<=", ">"]))
        | st.builds("{} IN ({}, {})".format, path, LITERALS, LITERALS)
        | st.builds("{} BETWEEN {} AND {}".format, path, LITERALS, LITERALS)
        | st.builds("ARRAY_CONTAINS({}, {})".format, path, LITERALS)
        | st.builds("ARRAY_CONTAINS([{}, 2], {})".format, LITERALS, path)
    )
    return st.recursive(
        leaf,
        lambda inner: (
            st.builds("({} AND {})".format, inner, inner)
            | st.builds("({} OR {})".format, inner, inner)
            | st.builds("NOT ({})".format, inner)
        ),
        max_leaves=6,
    )


def at(document: Any, steps: list[str]) -> list[Any]:
    if not steps:
        return [document]
    if steps[0] == "[]":
        return (
            [found for item in document for found in at(item, steps[1:])]
            if isinstance(document, list)
            else []
        )
    if not isinstance(document, dict) or steps[0] not in document:
        return []
    return at(document[steps[0]], steps[1:])


def equal(left: Any, right: Any) -> bool:
    numbers = {type(left), type(right)} <= {int, float}
    return (numbers or type(left) is type(right)) and bool(left == right)


def admits(one: Seek, document: dict[str, Any]) -> bool:
    if isinstance(one, AnyOf):
        return any(equal(found, term.value) for term in one.terms for found in scalars(document, term.path))
    kinds = (str,) if isinstance(one.low if one.low is not None else one.high, str) else (int, float)
    return any(between(one, found) for found in scalars(document, one.path) if type(found) in kinds)


def scalars(document: dict[str, Any], path: str) -> list[Any]:
    return at(document, path.strip("/").split("/")[:-1])


def between(bounds: Bounds, found: Any) -> bool:
    above = bounds.low is None or found > bounds.low or (bounds.low_inclusive and found == bounds.low)
    below = bounds.high is None or found < bounds.high or (bounds.high_inclusive and found == bounds.high)
    return above and below


@given(conditions(), DOCUMENTS, SCALARS)
def test_a_seek_never_loses_a_match(condition: str, documents: list[dict[str, Any]], given_p: Any) -> None:
    query = compile_query(f"SELECT * FROM c WHERE {condition}")  # noqa: S608  what is tested
    parameters = {"@p": given_p}
    matches = query.run(documents, parameters)
    for one in query.seek(parameters):
        assert all(admits(one, document) for document in matches)


def test_a_boolean_and_a_number_are_two_terms() -> None:
    (seek,) = compile_query("SELECT * FROM c WHERE c.a = 1 OR c.a = true OR c.a = false OR c.a = 0").seek({})
    assert isinstance(seek, AnyOf)
    assert [(type(term.value), term.value) for term in seek.terms] == [
        (int, 1),
        (bool, True),
        (bool, False),
        (int, 0),
    ]
