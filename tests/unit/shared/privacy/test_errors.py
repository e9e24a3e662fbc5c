"""What is told of an error: never what a foreign error says."""

from __future__ import annotations

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError

from shared.errors import DocumentError
from shared.privacy.errors import message_of, place_of, trace_of

SECRET = "ann@example.org"


def raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


@pytest.mark.parametrize(
    "error",
    [
        KeyError(SECRET),
        ValueError(SECRET),
        UnicodeEncodeError("utf-8", SECRET, 0, 1, SECRET),
        CosmosHttpResponseError(status_code=400, message=SECRET),
        ExceptionGroup(SECRET, [ValueError(SECRET)]),
    ],
)
def test_the_message_of_a_foreign_error_is_not_told(error: Exception) -> None:
    caught = raised(error)
    assert SECRET not in message_of(caught) + trace_of(caught)
    assert message_of(caught).startswith(type(error).__name__)


def test_the_fleet_s_own_errors_are_told() -> None:
    assert (
        message_of(DocumentError("user_rating", "is 9; must be at most 5"))
        == "user_rating is 9; must be at most 5"
    )


def test_a_trace_has_the_code_of_an_error_and_of_its_causes() -> None:
    def inner() -> None:
        raise KeyError(SECRET)

    def outer() -> None:
        try:
            inner()
        except KeyError as error:
            raise ValueError(SECRET) from error

    with pytest.raises(ValueError, match="ann@") as caught:
        outer()
    trace = trace_of(caught.value)
    assert place_of(caught.value).startswith("test_errors.py:")
    assert trace.index("in inner") < trace.index("KeyError in") < trace.index("ValueError in")
    assert SECRET not in trace


def test_an_error_that_was_never_raised_has_no_place() -> None:
    assert message_of(ValueError(SECRET)) == "ValueError in an unknown place"
