"""Why a query cannot be answered."""

from __future__ import annotations

SYNTAX_ERROR = "SC1001"
UNKNOWN_NAME = "SC2001"
UNKNOWN_FUNCTION = "SC2005"
ORDER_IN_SUBQUERY = "SC2202"
LIMIT_IN_SUBQUERY = "SC2204"
UNSORTABLE = "SC2206"

_SYNTAX = "Syntax error, incorrect syntax"


class QueryError(Exception):
    """The query is wrong: a syntax error, an unknown name, a missing parameter. The service's 400.

    Parameters
    ----------
    message
        What is wrong, for the client.
    location
        Where in the query's text, as its first character and the one after its last, if it is known.
    code
        The service's code for it, such as SC1001 for a syntax error; empty where it gives none.
    """

    def __init__(self, message: str, location: tuple[int, int] | None = None, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.location = location
        self.code = code


class UnsupportedError(QueryError):
    """The query uses a construct that the local server does not have; the message names it."""

    def __init__(self, construct: str, location: tuple[int, int] | None = None) -> None:
        super().__init__(f"{construct} is not supported by the local server.", location)


def near_error(near: str, start: int, hint: str = "") -> QueryError:
    """Return the service's syntax error, with the place in the text."""
    return QueryError(f"{_SYNTAX} near '{near}'.{hint}", (start, start + len(near)), SYNTAX_ERROR)
