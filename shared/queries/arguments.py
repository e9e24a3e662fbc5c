"""Checks of query arguments. Every argument is checked before a request is sent."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from shared.containers import CATALOGUE, DAY, container
from shared.documents.common import MAX_IDENTIFIER_CHARACTERS, identifier
from shared.errors import QueryError
from shared.privacy.forms import Form, describe, quote
from shared.units import Day

MAX_LIMIT = 1_000
"""Maximum rows of one result. A projected interaction has about 1 KB, so they fit into one page of 4 MB."""

DEFAULT_LIMIT = 100

MAX_PARAMETERS = 100

_CONTINUATION = re.compile(r"[ -~]{1,16384}")
"""Printable ASCII, up to the longest header that the service accepts."""


def require_identifier(field: str, value: object) -> str:
    """Return a value that is valid as an id or a partition key.

    The SDK reads a partition key of None as "all partitions": one missing argument would read all people's
    data.

    Raises
    ------
    QueryError
        The value is not a text of 1 to 255 characters.
    """
    found = identifier(value)
    if found is None:
        # A number may be a person's id, like a text.
        given = (
            quote(value, Form.IDENTIFIER)
            if value is None or isinstance(value, str)
            else f"a value of type {_type(value)}"
        )
        raise QueryError(
            field, f"{given} is not an identifier of 1 to {MAX_IDENTIFIER_CHARACTERS} characters"
        )
    return found


def _type(value: object) -> str:
    return type(value).__name__


def require_day(field: str, value: object) -> Day:
    """Return a value that is a date, ``2025-08-05``.

    Raises
    ------
    QueryError
        The value is none.
    """
    if not isinstance(value, str) or not _is_day(value):
        raise QueryError(field, f"{quote(value, Form.TIME)} is not a day such as 2025-08-05")
    return Day(value)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def require_one_of(field: str, value: object, known: Collection[str]) -> str:
    """Return a value that is one of the allowed words.

    Raises
    ------
    QueryError
        The value is not one of them.
    """
    if not isinstance(value, str) or value not in known:
        raise QueryError(field, f"{describe(value)} is not one of {', '.join(known)}")
    return value


def require_whole(field: str, value: object, *, most: int) -> int:
    """Return a whole number from 1 to ``most``.

    Raises
    ------
    QueryError
        The value is no whole number, or out of these bounds.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise QueryError(field, f"{quote(value, Form.NUMBER)} is not a whole number from 1 to {most}")
    return value


def require_continuation(value: object) -> str | None:
    """Return a continuation as a query returned it, None for none. It is sent as a header.

    Raises
    ------
    QueryError
        The value cannot be one.
    """
    if value is None:
        return None
    if not isinstance(value, str) or _CONTINUATION.fullmatch(value) is None:
        raise QueryError("continuation", f"{describe(value)} is none that a query returned")
    return value


def require_container(value: object) -> str:
    """Return the name of a container of the catalogue.

    Raises
    ------
    QueryError
        The catalogue has no container of this name.
    """
    return require_one_of("container_name", value, [known.name for known in CATALOGUE])


def require_parameters(parameters: object) -> list[dict[str, object]]:
    """Return parameters in the form of the SDK, ``[{"name": "@user_id", "value": "…"}]``.

    Raises
    ------
    QueryError
        A parameter has another form, or a name occurs twice.
    """
    if parameters is None:
        return []
    if not isinstance(parameters, Sequence) or isinstance(parameters, str | bytes):
        raise QueryError("parameters", f"{describe(parameters)} is not a list of names and values")
    if len(parameters) > MAX_PARAMETERS:
        raise QueryError("parameters", f"{len(parameters)} are more than {MAX_PARAMETERS}")
    checked: dict[str, dict[str, object]] = {}
    for place, parameter in enumerate(parameters):
        field = f"parameters[{place}]"
        if not isinstance(parameter, Mapping) or set(parameter) != {"name", "value"}:
            raise QueryError(field, f"{describe(parameter)} is not an object of name and value")
        name = parameter["name"]
        if not isinstance(name, str) or not name.startswith("@") or not name[1:].isidentifier():
            raise QueryError(f"{field}.name", f"{describe(name)} is not a name such as '@user_id'")
        if name in checked:
            raise QueryError(f"{field}.name", "occurs twice")
        checked[name] = {"name": name, "value": parameter["value"]}
    return list(checked.values())


def as_parameters(values: Mapping[str, Any]) -> list[dict[str, object]]:
    """Return values by name in the form of the SDK."""
    return [{"name": f"@{name}", "value": value} for name, value in values.items()]


def days_kept(container_name: str) -> int:
    """Return the number of days after which items of a container expire. It is the useful limit of a query.

    Raises
    ------
    ValueError
        The items do not expire.
    """
    seconds = container(container_name).default_ttl
    if seconds is None or seconds < DAY:
        raise ValueError(f"{container_name} does not expire by days")
    return seconds // DAY


def since(now: datetime, days: int) -> str:
    """Return the time ``days`` ago as a lower bound for texts such as ``2025-08-05T14:39:15.127Z``.

    Whole seconds without a zone are a prefix of every text of that second, with any fraction. A bound that
    ends in ``Z`` would sort after texts with more digits.
    """
    return f"{(now - timedelta(days=days)).astimezone(UTC):%Y-%m-%dT%H:%M:%S}"
