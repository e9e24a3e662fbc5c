"""Batches, one after another, against a model of what they mean: all of one, or nothing of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from local.cosmos import batch
from local.cosmos.items import Items
from local.cosmos.model import Container
from local.cosmos.partitioning import WHOLE
from local.cosmos.resources import Resources
from local.cosmos.storage import Storage

IDS = st.sampled_from(["a", "b", "c"])
ETAGS = st.sampled_from([None, "current", "stale"])
OPERATIONS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["Create", "Upsert", "Replace", "Delete", "Read", "Patch"]),
        "id": IDS,
        "n": st.integers(0, 5),
        "etag": ETAGS,
    }
)
STATUS = {"Create": 201, "Upsert": 200, "Replace": 200, "Delete": 204, "Read": 200, "Patch": 200}
POLICY = {"includedPaths": [{"path": "/n/?"}], "excludedPaths": [{"path": "/*"}]}

Model = dict[str, int]


class Database:
    """A container whose values of ``n`` are kept as terms, and the etags of its items."""

    def __init__(self, path: Path) -> None:
        self.storage = Storage(path)
        resources = Resources(self.storage, partitions=2)
        resources.create_database({"id": "d"})
        body = {"id": "c", "partitionKey": {"paths": ["/pk"]}, "indexingPolicy": POLICY}
        self.container: Container = resources.create_container("d", body, {})

    def etags(self) -> dict[str, str]:
        return {item.id: item.etag for item in self.storage.read.scan(self.container, WHOLE)}

    def contents(self) -> Model:
        found = {}
        for item in self.storage.read.scan(self.container, WHOLE):
            document = item.document()
            found[item.id] = document["n"]
            assert document["_etag"] == item.etag
            sought = self.storage.read.with_terms(self.container, [("/n/?", document["n"])], 100)
            assert item.number in sought
        terms = self.storage.read.with_value_between(self.container, "/n/?", 0, None, 1_000)
        assert len(terms) == len(found)
        return found

    def execute(self, operations: list[dict[str, Any]]) -> tuple[int, list[int]]:
        status, results, _ = batch.execute(
            self.storage, Items(self.storage), self.container, orjson.dumps(operations), ("p",)
        )
        return status, [result["statusCode"] for result in results]


def request_of(operation: dict[str, Any], etags: dict[str, str]) -> dict[str, Any]:
    kind, item_id, n = operation["kind"], operation["id"], operation["n"]
    made: dict[str, Any] = {"operationType": kind, "id": item_id}
    if kind == "Patch":
        made["resourceBody"] = {"operations": [{"op": "incr", "path": "/n", "value": n}]}
    elif kind not in ("Delete", "Read"):
        made["resourceBody"] = {"id": item_id, "pk": "p", "n": n}
    if operation["etag"] is not None:
        made["ifMatch"] = etags.get(item_id, '"none"') if operation["etag"] == "current" else '"stale"'
    return made


def status_in_model(operation: dict[str, Any], model: Model, written: set[str]) -> int:
    """Apply one operation to the model; return the status the service gives it."""
    kind, item_id = operation["kind"], operation["id"]
    exists = item_id in model
    # An etag is that of the time before the batch: what the batch itself has written has another.
    matches = operation["etag"] is None or (operation["etag"] == "current" and item_id not in written)
    if kind == "Create":
        if exists:
            return 409
        if operation["etag"] is not None:
            return 412
    elif kind == "Upsert":
        if exists and not matches:
            return 412
    elif not exists:
        return 404
    elif not matches:
        return 412
    if kind == "Delete":
        del model[item_id]
    elif kind == "Patch":
        model[item_id] += operation["n"]
    elif kind != "Read":
        model[item_id] = operation["n"]
    if kind != "Read":
        written.add(item_id)
    return STATUS[kind] if exists or kind != "Upsert" else 201


@settings(max_examples=200, deadline=None)
@given(batches=st.lists(st.lists(OPERATIONS, min_size=1, max_size=6), max_size=6))
def test_a_batch_is_executed_as_a_whole_or_leaves_no_trace(batches: list[list[dict[str, Any]]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        database = Database(Path(directory) / "file.sqlite3")
        model: Model = {}
        for operations in batches:
            etags = database.etags()
            trial, written, expected = dict(model), set[str](), list[int]()
            for operation in operations:
                expected.append(status_in_model(operation, trial, written))
                if expected[-1] >= 400:
                    break
            fails = expected[-1] >= 400
            status, found = database.execute([request_of(operation, etags) for operation in operations])
            if fails:
                failed = len(expected) - 1
                assert status == 207
                assert found == [expected[-1] if n == failed else 424 for n in range(len(operations))]
                assert database.etags() == etags
            else:
                assert (status, found) == (200, expected)
                model = trial
            assert database.contents() == model
        partition = next(p for p in database.container.partitions if p.lsn.value or not model)
        feed = list(database.storage.read.feed(database.container, partition, WHOLE, after=0))
        assert sorted(item.id for item in feed) == sorted(model)
        assert len({item.lsn for item in feed}) <= len(batches)  # one number for all that a batch writes
        database.storage.close()
