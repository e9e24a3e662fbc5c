"""Why a query cannot be answered."""

from __future__ import annotations


class QueryError(Exception):
    """The query is wrong: a syntax error, an unknown name, a missing parameter. The service's 400.

    Parameters
    ----------
    message
        What is wrong, for the client.
    location
        Where in the query's text, as its first character and the one after its last, if it is known.
    """

    def __init__(self, message: str, location: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.location = location


class UnsupportedError(QueryError):
    """The query uses a construct that the local server does not have; the message names it."""

    def __init__(self, construct: str, location: tuple[int, int] | None = None) -> None:
        super().__init__(f"{construct} is not supported by the local server.", location)


def near_error(near: str, start: int, hint: str = "") -> QueryError:
    """Return the service's syntax error, with the place in the text."""
    message = f"Syntax error, incorrect syntax near '{near}' at character {start}.{hint}"
    return QueryError(message, (start, start + len(near)))
