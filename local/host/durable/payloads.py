"""Requests about orchestrations, and what is answered: the extension's names and shapes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from local.host.durable.history import Event, EventType, told
from local.host.durable.rows import Filter, State

MAX_ID_LENGTH = 100
STATUSES = ("Pending", "Running", "Completed", "Failed", "Terminated", "Suspended")
NAMES: Mapping[int, str] = {
    kind: "".join(part.capitalize() for part in kind.name.split("_")) for kind in EventType
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request, without what identified its sender."""

    method: str
    path: tuple[str, ...]
    """The parts of the path behind the prefix, decoded."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    origin: str
    """Scheme and host that the sender used, for the addresses in answers."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; ``body`` becomes JSON, None is an empty body."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class BadRequestError(Exception):
    """The request cannot be used; the text says why."""


def check_id(instance_id: str) -> None:
    """Refuse an id that the extension does not take; :class:`BadRequestError` says why."""
    if instance_id.startswith("@"):
        raise BadRequestError("Orchestration instance ids must not start with @.")
    if any(character in "/\\?#" or ord(character) < 32 or ord(character) == 127 for character in instance_id):
        raise BadRequestError("Instance ids must not contain /, \\, #, ?, or control characters.")
    if not 1 <= len(instance_id) <= MAX_ID_LENGTH:
        raise BadRequestError(f"Instance ID lengths must not exceed {MAX_ID_LENGTH} characters.")


def json_text(body: bytes) -> str | None:
    """Return a body as JSON text, None if it is empty; :class:`BadRequestError` if it is not JSON."""
    if not body.strip():
        return None
    try:
        text = body.decode()
        json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"Invalid JSON content: {error}") from error
    return text


def bad_request(message: str) -> Reply:
    """Return the answer to a request that cannot be used."""
    said = "One or more of the arguments submitted is incorrect"
    return Reply(400, {"Message": said, "ExceptionMessage": message, "ExceptionType": "ArgumentException"})


def unsupported(what: str) -> Reply:
    """Return the answer to what this host does not do."""
    message = f"The local host does not support {what}."
    return Reply(501, {"Message": message, "ExceptionMessage": message})


def describe_state(state: State, *, with_input: bool) -> dict[str, Any]:
    """Return the state of an instance as it is told."""
    return {
        "name": state.name,
        "instanceId": state.instance_id,
        "runtimeStatus": state.status,
        "input": json_value(state.input) if with_input else None,
        "customStatus": json_value(state.custom_status),
        "output": json_value(state.output),
        "createdTime": _time(state.created),
        "lastUpdatedTime": _time(state.updated),
    }


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def json_value(text: str | None) -> Any:
    """Return what a stored JSON text says."""
    return None if text is None else json.loads(text)


def describe_event(one: Event, *, with_output: bool) -> Event:
    """Return an event of a history as it is told."""
    shown = told(one, played=True)
    del shown["IsPlayed"]
    shown["EventType"] = NAMES[one["EventType"]]
    if not with_output:
        for name in ("Input", "Result"):
            shown.pop(name, None)
    return shown


def flag(request: Request, name: str, default: bool) -> bool:
    """Return a yes or no of the query."""
    text = request.query.get(name, "").lower()
    return text == "true" if text in ("true", "false") else default


def seconds(text: str | None) -> float | None:
    """Return a number of the query, None if it is none."""
    try:
        return float(text or "")
    except ValueError:
        return None


def filter_of(request: Request) -> Filter:
    """Return the instances that a query asks for; :class:`BadRequestError` if it cannot be read."""
    statuses = tuple(part for part in request.query.get("runtimeStatus", "").split(",") if part)
    unknown = [part for part in statuses if part not in STATUSES]
    if len(unknown) == len(statuses):  # the extension ignores what it does not know
        statuses = ()
    return Filter(
        created_from=_moment(request, "createdTimeFrom"),
        created_to=_moment(request, "createdTimeTo"),
        statuses=tuple(part for part in statuses if part in STATUSES),
        prefix=request.query.get("instanceIdPrefix", ""),
    )


def _moment(request: Request, name: str) -> datetime | None:
    text = request.query.get(name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequestError(f"{name} is not a time like 2026-02-16T14:19:29Z.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
