"""Up to 100 operations in a request: in one logical partition all or nothing, or in bulk each for itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from local.cosmos import charges
from local.cosmos.errors import (
    PARTITION_KEY_RANGE_GONE,
    ServiceError,
    bad_request,
    precondition_failed,
    too_large,
)
from local.cosmos.items import Conditions, Items, Written
from local.cosmos.model import Container
from local.cosmos.partitioning import effective_key, parse_header
from local.cosmos.patch import patch_item, patch_of
from local.cosmos.storage import Storage

MAX_OPERATIONS = 100
MAX_BYTES = 2_202_010
"""2.2 MB as the service measures the request; 2 MB of items and their envelopes."""


class _BatchFailedError(Exception):
    """Rolls the transaction back; the last result is the failure."""


def execute(
    storage: Storage, items: Items, container: Container, body: bytes, key: tuple[object, ...]
) -> tuple[int, list[dict[str, Any]], float]:
    """Execute a batch; return the status, the result of each operation and the charge.

    Raises
    ------
    ServiceError
        400 or 413: the batch as a whole is refused.
    """
    operations = _operations(body)
    results: list[dict[str, Any]] = []
    try:
        with storage.transaction():
            for operation in operations:
                try:
                    results.append(_execute_one(items, container, operation, key))
                except ServiceError as error:
                    results.append(_failure(error))
                    raise _BatchFailedError from error
    except _BatchFailedError:
        # What was executed before the failure was paid for, though nothing of it remains.
        spent = _charge(results)
        failed = len(results) - 1
        return 207, [results[failed] if n == failed else _UNDONE for n in range(len(operations))], spent
    return 200, results, _charge(results)


def execute_bulk(
    storage: Storage, items: Items, container: Container, body: bytes, partition: str, *, go_on: bool
) -> tuple[int, list[dict[str, Any]], float]:
    """Execute operations that have a key each and stand for themselves; return what :func:`execute` does.

    Parameters
    ----------
    partition
        Id of the physical partition that the request names: all keys have to lie in it.
    go_on
        Whether what follows a failure is executed.

    Raises
    ------
    ServiceError
        400 or 413: the request as a whole is refused.
    """
    results: list[dict[str, Any]] = []
    failed = False
    for operation in _operations(body):
        if failed and not go_on:
            results.append(_UNDONE)
            continue
        try:
            key = _own_key(container, operation, partition)
            with storage.transaction():
                results.append(_execute_one(items, container, operation, key))
        except ServiceError as error:
            results.append(_failure(error))
            failed = True
    return 207 if failed else 200, results, _charge(results)


_UNDONE: dict[str, Any] = {"statusCode": 424, "requestCharge": 0.0}
"""The result of an operation that depended on one that failed."""


def _own_key(container: Container, operation: Mapping[str, Any], partition: str) -> tuple[object, ...]:
    text = operation.get("partitionKey")
    if not isinstance(text, str):
        raise bad_request("An operation of a bulk request needs its partitionKey, the text of a JSON array.")
    key = parse_header(text)
    if len(key) != len(container.key_paths):
        raise bad_request("The partitionKey of the operation does not have the container's levels.")
    if container.partition_of(effective_key(key, hierarchical=container.hierarchical)).id != partition:
        raise ServiceError(
            410, "The key of the operation lies in another partition.", sub_status=PARTITION_KEY_RANGE_GONE
        )
    return key


def _charge(results: list[dict[str, Any]]) -> float:
    return round(sum(float(result["requestCharge"]) for result in results), 2)


def _operations(body: bytes) -> list[dict[str, Any]]:
    if len(body) > MAX_BYTES:
        raise too_large()
    try:
        operations = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise bad_request("The batch request is not valid JSON.") from None
    if not isinstance(operations, list) or not operations:
        raise bad_request("Batch request has no operations.")
    if len(operations) > MAX_OPERATIONS:
        raise bad_request(
            f"Batch request has more operations than what is supported. {len(operations)} > {MAX_OPERATIONS}."
        )
    for index, operation in enumerate(operations):
        if not isinstance(operation, dict):
            raise bad_request(f"Operation {index} of the batch is not an object.")
    return operations


def _execute_one(
    items: Items, container: Container, operation: Mapping[str, Any], key: tuple[object, ...]
) -> dict[str, Any]:
    when = Conditions(operation.get("ifMatch"), operation.get("ifNoneMatch"))
    kind, item_id, body = (
        operation.get("operationType"),
        str(operation.get("id")),
        operation.get("resourceBody"),
    )
    match kind:
        case "Create":
            return _result(items.create(container, _object(body), key, when))
        case "Upsert":
            return _result(items.upsert(container, _object(body), key, when))
        case "Replace":
            return _result(items.replace(container, item_id, _object(body), key, when))
        case "Delete":
            return _result(items.delete(container, item_id, key, when))
        case "Read":
            item = items.require(container, item_id, key)
            if when.if_match not in (None, "*", item.etag):
                raise precondition_failed()
            if when.if_none_match in ("*", item.etag):
                return {"statusCode": 304, "requestCharge": charges.METADATA, "eTag": item.etag}
            return _result(Written(200, charges.read(len(item.body)), item))
        case "Patch":
            return _result(patch_item(items, container, item_id, _object(patch_of(body)), key, when))
        case _:
            raise bad_request(f"The batch operation {kind!r} is not supported.")


def _object(body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise bad_request("The operation carries no item.")
    return body


def _result(written: Written) -> dict[str, Any]:
    result: dict[str, Any] = {"statusCode": written.status, "requestCharge": written.charge}
    if written.item is not None:
        result |= {"eTag": written.item.etag, "resourceBody": orjson.Fragment(written.item.body)}
    return result


def _failure(error: ServiceError) -> dict[str, Any]:
    return {
        "statusCode": error.status,
        "subStatusCode": error.sub_status,
        "requestCharge": charges.METADATA,
        "message": error.message,
    }
