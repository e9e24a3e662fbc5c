"""Partial document update: the six operations, in order, all or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from local.cosmos.errors import bad_request

MAX_OPERATIONS = 10


def patched(document: dict[str, Any], operations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Apply operations to a document that is the caller's own; return it.

    Raises
    ------
    ServiceError
        400: an operation is malformed, or its path does not exist where it must.
    """
    if not operations or len(operations) > MAX_OPERATIONS:
        raise bad_request(f"A patch takes 1 to {MAX_OPERATIONS} operations, not {len(operations)}.")
    for operation in operations:
        _apply(document, operation)
    return document


def _apply(document: dict[str, Any], operation: Mapping[str, Any]) -> None:
    kind, path = str(operation.get("op", "")).lower(), str(operation.get("path", ""))
    parent, last = _resolve(document, path)
    match kind:
        case "add" | "set":
            _put(parent, last, operation["value"], insert=kind == "add", path=path)
        case "replace":
            _get(parent, last, path)
            _put(parent, last, operation["value"], insert=False, path=path)
        case "remove":
            _get(parent, last, path)
            del parent[last]
        case "incr" | "increment":
            value = operation["value"]
            old = parent.get(last, 0) if isinstance(parent, dict) else _get(parent, last, path)
            if not _is_number(value) or not _is_number(old):
                raise bad_request(f"For Operation(incr): the value at {path} is not a number.")
            _put(parent, last, old + value, insert=False, path=path)
        case "move":
            source, name = _resolve(document, str(operation.get("from", "")))
            value = _get(source, name, str(operation.get("from")))
            del source[name]
            parent, last = _resolve(document, path)
            _put(parent, last, value, insert=True, path=path)
        case _:
            raise bad_request(f"The patch operation {kind!r} is not supported.")


def _resolve(document: dict[str, Any], path: str) -> tuple[Any, Any]:
    if not path.startswith("/") or path == "/":
        raise bad_request(f"The patch path {path!r} is not valid.")
    steps = [step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/")]
    value: Any = document
    for step in steps[:-1]:
        value = _get(value, _name(value, step), path)
    if not isinstance(value, dict | list):
        raise bad_request(f"The patch path {path!r} leads into a scalar.")
    return value, _name(value, steps[-1])


def _name(parent: Any, step: str) -> Any:
    if not isinstance(parent, list):
        return step
    if step == "-":
        return len(parent)
    if not step.isdigit():
        raise bad_request(f"{step!r} is not an index of an array.")
    return int(step)


def _get(parent: Any, name: Any, path: str) -> Any:
    if isinstance(parent, dict) and name in parent:
        return parent[name]
    if isinstance(parent, list) and isinstance(name, int) and name < len(parent):
        return parent[name]
    raise bad_request(f"The patch path {path!r} does not exist.")


def _put(parent: Any, name: Any, value: Any, *, insert: bool, path: str) -> None:
    if isinstance(parent, dict):
        parent[name] = value
    elif name > len(parent):
        raise bad_request(f"The patch path {path!r} is beyond the end of the array.")
    elif insert or name == len(parent):
        parent.insert(name, value)
    else:
        parent[name] = value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
