"""An in-memory container that answers as the SDK does, and fails where a test says so."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosBatchOperationError,
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

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
    """Items by partition key and id. Knows exactly the queries that ``shared`` sends."""

    def __init__(self, key: str = "shard", fault: Fault = no_fault, began: int = 0) -> None:
        self.items: dict[tuple[str, str], dict[str, Any]] = {}
        self.fault = fault
        self.requests: list[str] = []
        self._key = key
        self._clock = itertools.count(began + 1)

    async def _begin(self, operation: str) -> None:
        await asyncio.sleep(0)  # as on a network, others come between
        self.requests.append(operation)
        self.fault(operation, "before")

    def _store(self, item: dict[str, Any]) -> dict[str, Any]:
        now = next(self._clock)
        stored: dict[str, Any] = json.loads(json.dumps(item)) | {"_etag": f'"{now}"', "_ts": now}
        self.items[item[self._key], item["id"]] = stored
        return Stored(copy.deepcopy(stored))

    async def delete_item(self, item_id: str, partition_key: str, *, etag: str, **_: Any) -> None:
        await self._begin("delete")
        current = self.items.get((partition_key, item_id))
        if current is None:
            raise CosmosResourceNotFoundError(status_code=404, message="not found")
        if current["_etag"] != etag:
            raise CosmosAccessConditionFailedError(status_code=412, message="changed")
        del self.items[partition_key, item_id]
        self.fault("delete", "after")

    async def read_item(self, item_id: str, partition_key: str, **_: Any) -> dict[str, Any]:
        await self._begin("read")
        found = self.items.get((partition_key, item_id))
        self.fault("read", "after")
        if found is None:
            raise CosmosResourceNotFoundError(status_code=404, message="not found")
        return copy.deepcopy(found)

    async def create_item(self, item: dict[str, Any], **_: Any) -> dict[str, Any]:
        await self._begin("create")
        if (item[self._key], item["id"]) in self.items:
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
        self, item_id: str, item: dict[str, Any], *, etag: str, **_: Any
    ) -> dict[str, Any]:
        await self._begin("replace")
        current = self.items.get((item[self._key], item_id))
        if current is None:
            raise CosmosResourceNotFoundError(status_code=404, message="not found")
        if current["_etag"] != etag:
            raise CosmosAccessConditionFailedError(status_code=412, message="changed")
        stored = self._store(item)
        self.fault("replace", "after")
        return stored

    async def patch_item(
        self, item_id: str, partition_key: str, operations: list[dict[str, Any]], **_: Any
    ) -> None:
        await self._begin("patch")
        current = self.items.get((partition_key, item_id))
        if current is None:
            raise CosmosResourceNotFoundError(status_code=404, message="not found")
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
        results = [
            {"statusCode": 200, "eTag": self._store(operation[1][-1])["_etag"]} for operation in operations
        ]
        self.fault("batch", "after")
        return results

    def _refusal(self, operation: tuple[Any, ...], partition_key: str) -> int:
        kind, arguments, *options = operation
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
        query: str,
        *,
        parameters: list[dict[str, Any]] | None = None,
        partition_key: str | None = None,
        **_: Any,
    ) -> AsyncIterator[Any]:
        await self._begin("query")
        values = {parameter["name"]: parameter["value"] for parameter in parameters or ()}
        for (key, _id), item in sorted(self.items.items()):
            if partition_key is not None and key != partition_key:
                continue
            if query.startswith("SELECT c.id, c._etag FROM c WHERE c.kind = 'ledger'"):
                if item["kind"] == "ledger" and set(values.values()) & set(item["ids"]):
                    yield {"id": item["id"], "_etag": item["_etag"]}
            elif query.startswith("SELECT * FROM c WHERE c.id IN"):
                if item["id"] in values.values():
                    yield copy.deepcopy(item)
            elif query.startswith("SELECT * FROM c WHERE c.aggregate IN"):
                aggregates = {value for name, value in values.items() if name.startswith("@a")}
                keys = {value for name, value in values.items() if name.startswith("@k")}
                asked = item.get("aggregate") in aggregates and item.get("key") in keys
                if asked and item["_ts"] >= values["@since"]:
                    yield copy.deepcopy(item)
            elif query.startswith("SELECT * FROM c WHERE c.kind = @kind AND c.hour >= @first"):
                sources = (values["@interactions"], values["@incidents"])
                inside = values["@first"] <= item.get("hour", "") <= values["@last"]
                if inside and item.get("source") in sources and key.startswith(values["@generation"]):
                    yield copy.deepcopy(item)
            elif query.startswith("SELECT c.shard FROM c WHERE c.kind = 'usage'"):
                if item["id"] == values["@id"] and key.startswith(values["@start"]):
                    yield {"shard": key}
            elif query.startswith("SELECT c.id, c.partition_key, c.analysis_period, c.period_start,"):
                asked = any(
                    item["analysis_period"] == kind
                    and values[f"@first{name.removeprefix('@kind')}"] <= item["period_start"]
                    and item["period_start"] <= values[f"@last{name.removeprefix('@kind')}"]
                    for name, kind in values.items()
                    if name.startswith("@kind")
                )
                if asked:
                    yield copy.deepcopy(item)
            elif query == "SELECT * FROM c ORDER BY c.id":
                yield copy.deepcopy(item)
            elif query.startswith("SELECT * FROM c WHERE c.kind = 'ledger' AND c.hour >= @hour"):
                late = item.get("hour", "") >= values["@hour"] and item["_ts"] >= values["@since"]
                if item["kind"] == "ledger" and late:
                    yield copy.deepcopy(item)
            elif query == "SELECT * FROM c WHERE c.kind = @kind":
                if item["kind"] == values["@kind"]:
                    yield copy.deepcopy(item)
            elif query.startswith("SELECT * FROM c WHERE c.kind = @kind AND c.aggregate"):
                is_person = item.get("aggregate") == values["@person"]
                if item["kind"] == values["@kind"] and is_person is ("!=" not in query):
                    yield copy.deepcopy(item)
            elif query.startswith("SELECT c.aggregate, c.key FROM c WHERE c.kind = 'partial'"):
                if item["kind"] == "partial" and key.startswith(values["@generation"]):
                    if "c.aggregate = @aggregate" in query and item["aggregate"] != values["@aggregate"]:
                        continue
                    if "c._ts >= @value" in query and item["_ts"] < values["@value"]:
                        continue
                    if "STARTSWITH(c.key" in query and not item["key"].startswith(values["@value"]):
                        continue
                    yield {"aggregate": item["aggregate"], "key": item["key"]}
            else:
                raise AssertionError(f"the fake does not know this query: {query}")
        self.fault("query", "after")
