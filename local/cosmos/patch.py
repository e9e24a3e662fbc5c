"""Partial document update: the six operations, in order, all or none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from local.cosmos.deadline import bounded
from local.cosmos.errors import bad_request, precondition_failed
from local.cosmos.indexing import SYSTEM_PROPERTIES
from local.cosmos.items import Conditions, Items, Written
from local.cosmos.model import Container, Item
from local.cosmos.numbers import as_doubles
from local.cosmos.queries import QueryRefusedError, compiled
from local.cosmos.query import QueryError

MAX_OPERATIONS = 10


def patch_item(
    items: Items,
    container: Container,
    item_id: str,
    body: Mapping[str, Any],
    key: tuple[object, ...],
    when: Conditions,
) -> Written:
    """Patch an item, inside a transaction.

    Parameters
    ----------
    body
        ``{"operations": [...], "condition": "FROM c WHERE ..."}``.

    Raises
    ------
    ServiceError
        404; 412: the condition or a precondition does not hold; 400: an operation is not possible.
    """
    item = items.require(container, item_id, key)
    when.check_write(item)
    condition = body.get("condition")
    if condition is not None:
        if not isinstance(condition, str):
            raise bad_request(f"The condition of a patch is not text but {type(condition).__name__}.")
        if not _holds(condition, item):
            raise precondition_failed()
    return items.change(container, item, patched(item.document(), body.get("operations")), key)


def patch_of(body: object) -> object:
    """Return the body of a patch as an object: without a condition its operations may come as a bare list."""
    return {"operations": body} if isinstance(body, list) else body


def _holds(condition: str, item: Item) -> bool:
    query = compiled(f"SELECT VALUE 1 {condition}")
    try:
        query.check({})
        return bool(bounded(lambda: query.run([item.document()], {})))
    except QueryError as error:
        raise QueryRefusedError(error) from None


def patched(document: dict[str, Any], operations: object) -> dict[str, Any]:
    """Apply operations to a document that is the caller's own; return it.

    Raises
    ------
    ServiceError
        400: an operation is malformed, or its path does not exist where it must.
    """
    if not isinstance(operations, list) or not operations:
        raise bad_request("A patch takes a list of operations, and at least one.")
    if len(operations) > MAX_OPERATIONS:
        raise bad_request(f"A patch takes at most {MAX_OPERATIONS} operations, not {len(operations)}.")
    for operation in operations:
        if not isinstance(operation, Mapping):
            raise bad_request(f"A patch operation is an object, not {type(operation).__name__}.")
        _apply(document, operation)
    return document


def _apply(document: dict[str, Any], operation: Mapping[str, Any]) -> None:
    kind, path = str(operation.get("op", "")).lower(), str(operation.get("path", ""))
    match kind:
        case "add" | "set":
            parent, last = _resolve(document, path)
            _put(parent, last, _value(operation), insert=kind == "add", path=path)
        case "replace":
            parent, last = _resolve(document, path)
            _get(parent, last, path)
            _put(parent, last, _value(operation), insert=False, path=path)
        case "remove":
            parent, last = _resolve(document, path)
            _get(parent, last, path)
            del parent[last]
        case "incr" | "increment":
            parent, last = _resolve(document, path)
            _increment(parent, last, _value(operation), path)
        case "move":
            _move(document, str(operation.get("from", "")), path)
        case _:
            raise bad_request(f"The patch operation {kind!r} is not supported.")


def _value(operation: Mapping[str, Any]) -> Any:
    if "value" not in operation:
        raise bad_request(f"The patch operation {operation.get('op')!r} has no value.")
    return operation["value"]


def _increment(parent: Any, last: Any, value: Any, path: str) -> None:
    # A property that is not there counts from 0; an element of an array must be there.
    old = parent.get(last, 0) if isinstance(parent, dict) else _get(parent, last, path)
    if not _is_number(value) or not _is_number(old):
        raise bad_request(f"For Operation(incr): the value at {path} is not a number.")
    total = old + value
    if isinstance(total, float) and not math.isfinite(total):
        raise bad_request(f"For Operation(incr): the sum at {path} is beyond the range of numbers.")
    _put(parent, last, as_doubles(total), insert=False, path=path)


def _move(document: dict[str, Any], origin: str, path: str) -> None:
    if path == origin or path.startswith(f"{origin}/"):
        raise bad_request(f"{origin!r} cannot be moved to {path!r}, which is itself or a part of it.")
    source, name = _resolve(document, origin)
    value = _get(source, name, origin)
    del source[name]
    parent, last = _resolve(document, path)
    _put(parent, last, value, insert=True, path=path)


def _resolve(document: dict[str, Any], path: str) -> tuple[Any, Any]:
    if not path.startswith("/") or path == "/":
        raise bad_request(f"The patch path {path!r} is not valid.")
    steps = [step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/")]
    if steps[0] in SYSTEM_PROPERTIES:
        raise bad_request(f"The patch path {path!r} is a system property, which cannot be patched.")
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
    if not (step.isascii() and step.isdigit()):
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
