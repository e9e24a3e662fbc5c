"""Requests find the function that the platform would call."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.host.bindings import FunctionSpec, HttpTrigger
from local.host.errors import HostStartError
from local.host.routes import Router, parse_constraint


def function(name: str, route: str, *methods: str) -> FunctionSpec:
    trigger = HttpTrigger(route, frozenset(methods) or None, "anonymous")
    return FunctionSpec(name, print, False, "req", None, trigger, None, Path())


ROUTER = Router(
    [
        function("rest", "files/{*path}"),
        function("any", "items/{id}"),
        function("number", "items/{id:int:min(1)}", "GET"),
        function("latest", "items/latest", "GET"),
        function("page", "pages/{kind}/{page:int?}"),
        function("default", "days/{day=today}"),
        function("create", "items", "POST"),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "name", "values"),
    [
        ("GET", "items/latest", "latest", {}),
        ("GET", "ITEMS/Latest", "latest", {}),
        ("GET", "items/12", "number", {"id": "12"}),
        ("GET", "items/0", "any", {"id": "0"}),
        ("PUT", "items/12", "any", {"id": "12"}),
        ("GET", "items/a%2Fb%20c", "any", {"id": "a/b c"}),
        ("POST", "items", "create", {}),
        ("GET", "files/a/b/c.txt", "rest", {"path": "a/b/c.txt"}),
        ("GET", "files", "rest", {"path": ""}),
        ("GET", "pages/news", "page", {"kind": "news"}),
        ("GET", "pages/news/3", "page", {"kind": "news", "page": "3"}),
        ("GET", "days", "default", {"day": "today"}),
    ],
)
def test_the_most_specific_route_answers(method: str, path: str, name: str, values: dict[str, str]) -> None:
    found = ROUTER.find(method, path)
    assert found is not None
    assert (found[0].spec.name, found[1]) == (name, values)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "items"), ("GET", "items/1/2"), ("GET", "pages/news/x"), ("GET", ""), ("GET", "other")],
)
def test_nothing_answers(method: str, path: str) -> None:
    assert ROUTER.find(method, path) is None


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        ("int", "-5", "2147483648"),
        ("long", "2147483648", "1.5"),
        ("bool", "True", "yes"),
        ("alpha", "abc", "abc1"),
        ("guid", "6f9619ff-8b86-d011-b42d-00c04fc964ff", "6f96"),
        ("decimal", "1.50", "1,5"),
        ("double", "1e3", "e3"),
        ("datetime", "2026-01-02T03:04:05Z", "yesterday"),
        ("length(3)", "abc", "ab"),
        ("length(2,3)", "ab", "abcd"),
        ("minlength(2)", "ab", "a"),
        ("maxlength(2)", "ab", "abc"),
        ("min(3)", "3", "2"),
        ("max(3)", "3", "4"),
        ("range(1,5)", "5", "6"),
    ],
)
def test_constraints(constraint: str, good: str, bad: str) -> None:
    check = parse_constraint(constraint)
    assert check(good)
    assert not check(bad)


@pytest.mark.parametrize(
    "route", ["{id:regexish}", "{id:min(x)}", "a{id}", "{a?}/b", "{*a}/b", "{id:range(1)}"]
)
def test_templates_that_cannot_be_used_name_the_function(route: str) -> None:
    with pytest.raises(HostStartError, match="route of function broken"):
        Router([function("broken", route)])


def test_two_functions_on_one_route_are_refused() -> None:
    with pytest.raises(HostStartError, match="a and b both answer"):
        Router([function("a", "x", "GET", "PUT"), function("b", "X", "GET")])
    assert len(Router([function("a", "x", "GET"), function("b", "x", "POST")])) == 2
