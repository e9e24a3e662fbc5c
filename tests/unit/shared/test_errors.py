"""The tree of errors in the module's docstring is the tree of its classes."""

from __future__ import annotations

import inspect
import re

from shared import errors
from shared.errors import DocumentError, FleetError, QueryError, TooManyRowsError

DEPTH_OF_A_BRANCH = 4
"""Characters that a branch of the tree is indented by."""


def documented_parents(docstring: str) -> dict[str, str | None]:
    """Return the parent of each class in the tree of a docstring, None of the root."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in docstring.splitlines():
        match = re.match(r"    ([│├└─ ]*)([A-Z]\w*Error)\b", line)
        if match:
            depth = len(match[1]) // DEPTH_OF_A_BRANCH
            path[depth:] = [match[2]]
            parents[match[2]] = path[depth - 1] if depth else None
    return parents


def test_the_documented_tree_is_the_tree_of_classes() -> None:
    classes = [
        kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__
    ]
    parents = {kind.__name__: kind.__bases__[0].__name__ for kind in classes}
    assert parents.pop("FleetError") == "Exception"
    assert documented_parents(errors.__doc__ or "") == {**parents, "FleetError": None}


def test_a_tree_is_read_from_its_branches() -> None:
    tree = "::\n\n    AError\n    ├── BError   one\n    │   └── CError\n    └── DError  two"
    assert documented_parents(tree) == {
        "AError": None,
        "BError": "AError",
        "CError": "BError",
        "DError": "AError",
    }


def test_an_error_of_a_field_names_it_and_says_what_is_wrong() -> None:
    document = DocumentError("user_rating", "is 0; must be at least 1")
    assert (str(document), document.field) == ("user_rating is 0; must be at least 1", "user_rating")
    argument = QueryError("days", "is 0, not from 1 to 90")
    assert (str(argument), argument.field) == ("days: is 0, not from 1 to 90", "days")


def test_an_argument_of_a_query_is_a_value_error_as_well() -> None:
    assert isinstance(QueryError("days", "no"), ValueError)


def test_too_many_rows_say_of_which_container_and_how_many_are_accepted() -> None:
    error = TooManyRowsError("alerts", 500)
    assert isinstance(error, FleetError)
    assert (error.container_name, error.limit) == ("alerts", 500)
    assert str(error).startswith("limit: more than 500 rows of alerts match")
