"""Messages and traces of errors, without a document's words. Rows, logs and answers are made of these."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

from azure.core.exceptions import HttpResponseError

from shared.errors import FleetError


def message_of(error: BaseException) -> str:
    """Return what may be told of an error.

    The fleet's own errors describe values (:func:`~shared.privacy.forms.quote`), so their message is told.
    Messages of others may quote what they failed on: a key, a text, an id. Only their type and place are
    told.
    """
    if isinstance(error, FleetError):
        return str(error)
    if isinstance(error, HttpResponseError):
        return f"{type(error).__name__}: the service answered {error.status_code}"
    return f"{type(error).__name__} in {place_of(error)}"


def place_of(error: BaseException) -> str:
    """Return where an error was raised: module and line."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"


def trace_of(error: BaseException) -> str:
    """Return the trace of an error and of those that it followed from: code and types, no messages."""
    parts = [
        "".join((*traceback.format_list(traceback.extract_tb(each.__traceback__)), f"{message_of(each)}\n"))
        for each in _chain(error)
    ]
    return "\n".join(reversed(parts))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
