"""An in-memory container that answers as the SDK does, and fails where a test says so."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosBatchOperationError,
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)
from azure.cosmos.partition_key import NonePartitionKeyValue, NullPartitionKeyValue

from shared.cosmos.queries import Query

Fault = Callable[[str, str], None]
"""Called with the operation and "before" or "after"; raises to make it fail there."""

BATCH_LIMIT = 100


class Killed(BaseException):
    """The process died here: nothing catches it, nothing after it runs."""


class Stored(dict[str, Any]):
    """An answer with its headers, as the SDK returns it."""

    def get_response_headers(self) -> dict[str, str]:
        return {"etag": self["_etag"]}


def no_fault(operation: str, when: str) -> None:
    return None


class FakeContainer:
    """Items by partition key and id. Answers the fleet's queries by their names: see :data:`ANSWERS`."""

    def __init__(self, key: str = "shard", fault: Fault = no_fault, began: int = 0) -> None:
        self.items: dict[tuple[str, str], dict[str, Any]] = {}
        self.fault = fault
        self.requests: list[str] = []
        self.resource_id = "rid"
        self._key = key
        self._written = began

    def write_from(self, seconds: int) -> None:
        """Give the next write this time. Each write after it is a second later."""
        self._written = seconds - 1

    async def _begin(self, operation: str) -> None:
        await asyncio.sleep(0)  # as on a network, others come between
        self.requests.append(operation)
        self.fault(operation, "before")

    def _store(self, item: dict[str, Any]) -> dict[str, Any]:
        self._written += 1
        now = self._written
        stored: dict[str, Any] = json.loads(json.dumps(item)) | {"_etag": f'"{now}"', "_ts": now}
        self.items[self._partition(item), item["id"]] = stored
        return Stored(copy.deepcopy(stored))

    def _partition(self, item: dict[str, Any]) -> Any:
        return item.get(self._key, NonePartitionKeyValue)

    async def read(self, **_: Any) -> dict[str, Any]:
        """Return the properties of the container."""
        return {"_rid": self.resource_id}

    async def delete_item(
        self, item_id: str, partition_key: str, *, etag: str | None = None, **_: Any
    ) -> None:
        await self._begin("delete")
        current = self.items.get((partition_key, item_id))
        if current is None:
            raise CosmosResourceNotFoundError(status_code=404, message="not found")
        if etag is not None and current["_etag"] != etag:
            raise CosmosAccessConditionFailedError(status_code=412, message="changed")
        del self.items[partition_key, item_id]
        self.fault("delete", "after")

    async def read_item(self, item_id: str, partition_key: Any, **_: Any) -> dict[str, Any]:
        await self._begin("read")
        key: Any = None if partition_key is NullPartitionKeyValue else partition_key
        found = self.items.get((key, item_id))
        self.fault("read", "after")
        if found is None:
            raise CosmosResourceNotFoundError(status_code=404, message="not found")
        return copy.deepcopy(found)

    async def create_item(self, item: dict[str, Any], **_: Any) -> dict[str, Any]:
        await self._begin("create")
        if (self._partition(item), item["id"]) in self.items:
            raise CosmosResourceExistsError(status_code=409, message="exists")
        stored = self._store(item)
        self.fault("create", "after")
        return stored

    async def upsert_item(self, item: dict[str, Any], **_: Any) -> dict[str, Any]:
        await self._begin("upsert")
        stored = self._store(item)
        self.fault("upsert", "after")
        return stored

    async def replace_item(
        self, item_id: str, item: dict[str, Any], *, etag: str | None = None, **_: Any
    ) -> dict[str, Any]:
        await self._begin("replace")
        current = self.items.get((self._partition(item), item_id))
        if current is None:
            raise CosmosResourceNotFoundError(status_code=404, message="not found")
        assert etag is not None, "what exists is replaced under its etag"
        if current["_etag"] != etag:
            raise CosmosAccessConditionFailedError(status_code=412, message="changed")
        stored = self._store(item)
        self.fault("replace", "after")
        return stored

    async def patch_item(
        self,
        item_id: str,
        partition_key: str,
        operations: list[dict[str, Any]],
        *,
        etag: str | None = None,
        **_: Any,
    ) -> None:
        await self._begin("patch")
        current = self.items.get((partition_key, item_id))
        if current is None:
            raise CosmosResourceNotFoundError(status_code=404, message="not found")
        if etag is not None and current["_etag"] != etag:
            raise CosmosAccessConditionFailedError(status_code=412, message="changed")
        for operation in operations:
            assert operation["op"] == "set"
            current = current | {operation["path"].removeprefix("/"): operation["value"]}
        self._store(current)
        self.fault("patch", "after")

    async def execute_item_batch(
        self, operations: list[tuple[Any, ...]], partition_key: str, **_: Any
    ) -> list[dict[str, Any]]:
        await self._begin("batch")
        if len(operations) > BATCH_LIMIT:
            raise CosmosHttpResponseError(status_code=400, message="too many operations")
        for index, operation in enumerate(operations):
            status = self._refusal(operation, partition_key)
            if status:
                raise CosmosBatchOperationError(
                    error_index=index, headers={}, status_code=status, message="batch", operation_responses=[]
                )
        results = [self._execute(operation, partition_key) for operation in operations]
        self.fault("batch", "after")
        return results

    def _execute(self, operation: tuple[Any, ...], partition_key: str) -> dict[str, Any]:
        kind, arguments, *_ = operation
        if kind == "delete":
            del self.items[partition_key, arguments[0]]
            return {"statusCode": 204, "eTag": None}
        return {"statusCode": 200, "eTag": self._store(arguments[-1])["_etag"]}

    def _refusal(self, operation: tuple[Any, ...], partition_key: str) -> int:
        kind, arguments, *options = operation
        if kind == "delete":
            known = self.items.get((partition_key, arguments[0]))
            if known is None:
                return 404
            guard = options[0]["if_match_etag"] if options else known["_etag"]
            return 0 if known["_etag"] == guard else 412
        body = arguments[-1]
        assert body[self._key] == partition_key
        current = self.items.get((partition_key, body["id"]))
        if kind == "create":
            return 409 if current else 0
        assert kind == "replace"
        if current is None:
            return 404
        return 0 if current["_etag"] == options[0]["if_match_etag"] else 412

    async def query_items(
        self,
        query: Query,
        *,
        parameters: list[dict[str, Any]] | None = None,
        partition_key: str | None = None,
        **_: Any,
    ) -> AsyncIterator[Any]:
        await self._begin("query")
        values = {parameter["name"].removeprefix("@"): parameter["value"] for parameter in parameters or ()}
        answer, left = ANSWERS[query.name], values.get("limit", len(self.items))
        asked = [e for e in self.items.items() if partition_key is None or e[0][0] == partition_key]
        try:
            asked.sort()
        except TypeError:  # the partitions null and absent have no order
            asked.sort(key=lambda entry: [*map(str, entry[0])])
        for _, item in asked:
            if left:
                row = answer(item, values)
                if row is not None:
                    left -= 1
                    yield copy.deepcopy(row)
        self.fault("query", "after")


Row = dict[str, Any]


def _when(condition: Callable[[Row, Row], bool], *fields: str) -> Callable[[Row, Row], Row | None]:
    """Return an answer: the item, or some of its fields, where a condition of item and values holds."""

    def answer(item: Row, values: Row) -> Row | None:
        if not condition(item, values):
            return None
        return {name: item[name] for name in fields if name in item} if fields else item

    return answer


def _of_generation(item: Row, values: Row) -> bool:
    return item["kind"] == "partial" and bool(item["shard"].startswith(values["generation"]))


def _is_person(item: Row, _: Row | None = None) -> bool:
    return item["kind"] == "partial" and item["aggregate"] == "person"


def _for_tiers(item: Row) -> Row:
    record = item.get("record", {})
    fields = {name: record[name] for name in ("first_known", "months", "refused") if name in record}
    return {"id": item["id"], "state": item["state"], "record": fields}


def _selected(item: Row) -> Row:
    record = item.get("record", {})
    consent = {name: record[name] for name in ("pending", "refused") if name in record}
    return {name: item[name] for name in ("id", "aggregate", "key")} | consent


def _in_selection(item: Row, values: Row) -> bool:
    return bool(values["first"] <= item["id"] < values["after"] and item["_ts"] >= values["since"])


def _by_consent(item: Row, values: Row) -> bool:
    record = item.get("record", {})
    return _in_selection(item, values) and bool(record.get("pending") or record.get("refused"))


def _numbered(prefix: str, values: Row) -> set[Any]:
    return {value for name, value in values.items() if re.fullmatch(rf"{prefix}\d+", name)}


def _in_document_sets(item: Row, values: Row) -> bool:
    return any(
        item["analysis_period"] == values[f"kind{number}"]
        and values[f"first{number}"] <= item["period_start"] <= values[f"last{number}"]
        for number in range(len(_numbered("kind", values)))
    )


ANSWERS: dict[str, Callable[[Row, Row], Row | None]] = {
    "poison_pending_from": _when(
        lambda item, values: item["status"] == values["pending"] and item["id"] >= values["start"]
    ),
    "poison_pending_before": _when(
        lambda item, values: item["status"] == values["pending"] and item["id"] < values["start"]
    ),
    "item": _when(lambda item, values: item["id"] == values["id"]),
    "documents_by_id": _when(lambda item, values: item["id"] in values.values()),
    "partials_by_key": _when(
        lambda item, values: item["id"] in _numbered("id", values) and item["_ts"] >= values["since"]
    ),
    "pages_in_hours": _when(
        lambda item, values: (
            values["first"] <= item["id"] < values["after"] and item["shard"].startswith(values["generation"])
        )
    ),
    "pages_from": _when(
        lambda item, values: (
            values["first"] <= item["id"] < values["after"] and item["_ts"] >= values["since"]
        )
    ),
    "documents_between": _when(lambda item, values: values["first"] <= item["id"] < values["after"]),
    "ids_between": _when(lambda item, values: values["first"] <= item["id"] < values["after"], "id"),
    "persons_of_shard": _when(_is_person),
    "owned_of_shard": _when(
        lambda item, _: item["kind"] == "partial" and item["aggregate"].startswith("person"),
        "aggregate",
        "key",
    ),
    "selected": lambda item, values: (
        _selected(item) if _of_generation(item, values) and _in_selection(item, values) else None
    ),
    "shards_of_selected": _when(
        lambda item, values: _of_generation(item, values) and _in_selection(item, values), "shard"
    ),
    "selected_of_shard": lambda item, values: _selected(item) if _in_selection(item, values) else None,
    "people_selected": lambda item, values: (
        _selected(item) if _of_generation(item, values) and _by_consent(item, values) else None
    ),
    "shards_of_people_selected": _when(
        lambda item, values: _of_generation(item, values) and _by_consent(item, values), "shard"
    ),
    "people_selected_of_shard": lambda item, values: _selected(item) if _by_consent(item, values) else None,
    "keys_of_selected": _when(
        lambda item, values: _of_generation(item, values) and _in_selection(item, values), "key"
    ),
    "tiers_of_people": lambda item, values: (
        _for_tiers(item) if _of_generation(item, values) and _is_person(item) else None
    ),
    "tiers_of_shard": lambda item, values: (
        _for_tiers(item) if _is_person(item) and item["id"] >= values["first"] else None
    ),
    "refusing_among": _when(
        lambda item, values: (
            item["id"] in _numbered("id", values)
            and item["shard"].startswith(values["generation"])
            and bool(item.get("record", {}).get("refused"))
        ),
        "key",
    ),
    "any_document": _when(lambda *_: True, "id"),
    "accounts_of_person": _when(
        lambda item, values: (
            values["owner"] in (item.get("user_id"), item.get("partition_key"))
            or item["id"] in (values["owner"], values["with_prefix"])
        )
    ),
    "item_by_rid": _when(lambda item, values: item.get("_rid") == values["rid"]),
    "documents_of_person": _when(lambda *_: True, "id", "_etag"),
    "day_listings": _when(
        lambda item, values: item["id"] == values["id"] and item["shard"].startswith(values["generation"]),
        "shard",
        "revision",
        "pages",
    ),
    "day_revisions": _when(
        lambda item, values: (
            values["first"] <= item["id"] < values["after"] and item["shard"].startswith(values["generation"])
        ),
        "shard",
        "key",
        "revision",
    ),
    "documents_with_prefix": _when(lambda item, values: values["first"] <= item["id"] < values["after"]),
    "ids_with_prefix": _when(
        lambda item, values: values["first"] <= item["id"] < values["after"], "id", "_ts", "_etag"
    ),
    "manifests": _when(
        lambda item, values: (
            item["id"] in _numbered("id", values) and item["shard"].startswith(values["generation"])
        )
    ),
    "vectors": _when(lambda *_: True),
    "known_passages": lambda item, _: (
        item
        | {
            name: len(item[text])
            for name, text in (("translated", "english_translation"), ("explained", "detailed_explanation"))
            if isinstance(item.get(text), str)
        }
    ),
    "known_personas": _when(lambda *_: True),
    "ids_of_partition": _when(lambda *_: True, "id"),
    "other_partitions": _when(
        lambda item, values: (
            not item["id"].startswith(("ledger|", "partial|"))
            and item["shard"].startswith(values["generation"])
        ),
        "shard",
    ),
    "generation_records": _when(
        lambda item, _: item["scope"] not in ("generations", "prices"), "id", "scope"
    ),
    "documents_of_sets": _when(_in_document_sets),
    "price_overrides": _when(lambda *_: True),
}
"""What the fleet's queries answer, by their names. A query without an answer here fails the test."""
