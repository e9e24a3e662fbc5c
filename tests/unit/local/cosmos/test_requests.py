"""Requests no SDK would send: each gets the service's kind of answer, none breaks the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.cosmos.storage import Storage
from tests.unit.local.cosmos.asgi import KEY, Client, signature

QUERY = {"x_ms_documentdb_isquery": "True", "content_type": "application/query+json"}
BATCH = {"x_ms_cosmos_is_batch_request": "True"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    storage = Storage(tmp_path / "file.sqlite3")
    made = Client(storage)
    await made.setup()
    assert (await made.items(body={"id": "a", "pk": "p", "n": 1, "list": [1], "text": "x"})).status == 201
    yield made
    storage.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        {},
        {"id": 1, "pk": "p"},
        {"id": "", "pk": "p"},
        {"id": "b", "pk": "q"},
        {"id": "b", "pk": "p", "ttl": 0},
        {"id": "b", "pk": "p", "ttl": "1"},
        {"id": "b", "pk": "p", "ttl": 1.5},
        {"id": "b", "pk": True},
        b'{"id": "b", "pk": "p", "n": NaN}',
    ],
)
async def test_items_that_are_refused(client: Client, body: Any) -> None:
    answer = await client.items(body=body)
    assert answer.status == 400, answer.body
    assert answer.json()["code"] == "BadRequest"


@pytest.mark.parametrize(("levels", "status"), [(128, 201), (129, 400), (900, 400)])
async def test_a_document_may_be_nested_only_so_deeply(client: Client, levels: int, status: int) -> None:
    body = b'{"id": "b", "pk": "p", "deep": ' + b"[" * levels + b"]" * levels + b"}"
    assert (await client.items(body=body)).status == status
    flat = {"id": "c", "pk": "p", "wide": [[{}]] * 900}
    assert (await client.items(body=flat)).status == 201


@pytest.mark.parametrize("key", ["", "p", "{", '["p", "q"]', "[[1]]", '[{"a": 1}]'])
async def test_partition_keys_that_are_refused(client: Client, key: str) -> None:
    assert (await client.items("GET", item="a", x_ms_documentdb_partitionkey=key)).status == 400


async def test_a_query_with_more_of_a_key_than_there_is_is_refused(client: Client) -> None:
    answer = await client.items(
        body={"query": "SELECT * FROM c"}, x_ms_documentdb_partitionkey='["p", "q"]', **QUERY
    )
    assert (answer.status, answer.headers["x-ms-substatus"]) == (400, "1001")


@pytest.mark.parametrize(
    ("header", "value", "words"),
    [
        ("x_ms_documentdb_pre_trigger_include", "t", "Triggers: not supported"),
        ("x_ms_documentdb_post_trigger_include", "t", "Triggers: not supported"),
        ("x_ms_indexing_directive", "Exclude", "left out of the index: not supported"),
        ("x_ms_indexing_directive", "1", "left out of the index: not supported"),
        ("x_ms_consistency_level", "Strong", "ConsistencyLevel Strong specified in the request is invalid"),
    ],
)
async def test_what_would_be_ignored_is_refused(client: Client, header: str, value: str, words: str) -> None:
    answer = await client.items(body={"id": "b", "pk": "p"}, **{header: value})
    assert answer.status == 400
    assert words in answer.json()["message"]
    weaker = {"x_ms_indexing_directive": "Include", "x_ms_consistency_level": "Eventual"}
    assert (await client.items(body={"id": "b", "pk": "p"}, **weaker)).status == 201


async def test_a_partition_key_has_two_kilobytes_at_most(client: Client) -> None:
    fits, too_long = "k" * 2_048, "k" * 2_049
    for key, status in ((fits, 201), (too_long, 400)):
        answer = await client.items(body={"id": "b", "pk": key}, x_ms_documentdb_partitionkey=f'["{key}"]')
        assert answer.status == status


@pytest.mark.parametrize(
    "operations",
    [
        None,
        [],
        {},
        "x",
        [1],
        [{}],
        [{"op": "set"}],
        [{"op": "set", "path": "/n"}],
        [{"op": "fly", "path": "/n"}],
        [{"op": "set", "path": "n", "value": 1}],
        [{"op": "set", "path": "/", "value": 1}],
        [{"op": "incr", "path": "/text", "value": 1}],
        [{"op": "incr", "path": "/n", "value": "1"}],
        [{"op": "replace", "path": "/none", "value": 1}],
        [{"op": "remove", "path": "/none"}],
        [{"op": "remove", "path": "/list/7"}],
        [{"op": "add", "path": "/list/7", "value": 1}],
        [{"op": "set", "path": "/list/x", "value": 1}],
        [{"op": "set", "path": "/none/n", "value": 1}],
        [{"op": "set", "path": "/text/n", "value": 1}],
        [{"op": "move", "from": "/none", "path": "/n"}],
        [{"op": "move", "path": "/n"}],
        [{"op": "move", "from": "/list", "path": "/list/0"}],
        [{"op": "set", "path": "/id", "value": "b"}],
        [{"op": "set", "path": "/pk", "value": "q"}],
        [{"op": "set", "path": "/n", "value": 1}] * 11,
        [{"op": "set", "path": "/n", "value": 2}, {"op": "remove", "path": "/none"}],
        [{"op": "set", "path": "/_ts", "value": 1}],
        [{"op": "remove", "path": "/_etag"}],
        [{"op": "move", "from": "/_rid", "path": "/n"}],
        [{"op": "set", "path": "/n", "value": 1e308}, {"op": "incr", "path": "/n", "value": 1e308}],
    ],
)
async def test_a_patch_that_is_refused_changes_nothing(client: Client, operations: Any) -> None:
    before = (await client.items("GET", item="a")).body
    answer = await client.items("PATCH", {"operations": operations}, item="a")
    assert answer.status == 400, answer.body
    assert (await client.items("GET", item="a")).body == before


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([{"op": "add", "path": "/list/-", "value": 2}], {"list": [1, 2]}),
        ([{"op": "add", "path": "/list/0", "value": 2}], {"list": [2, 1]}),
        ([{"op": "set", "path": "/list/0", "value": 2}], {"list": [2]}),
        (
            [{"op": "replace", "path": "/n", "value": {"x": 1}}, {"op": "set", "path": "/n/y", "value": 2}],
            {"n": {"x": 1, "y": 2}},
        ),
        ([{"op": "incr", "path": "/n", "value": 1.5}], {"n": 2.5}),
        ([{"op": "incr", "path": "/new", "value": 3}], {"new": 3}),
        ([{"op": "move", "from": "/n", "path": "/list/0"}], {"n": None, "list": [1, 1]}),
        ([{"op": "set", "path": "/a~1b", "value": 1}], {"a/b": 1}),
        ([{"op": "remove", "path": "/text"}], {"text": None}),
    ],
)
async def test_a_patch(client: Client, operations: Any, expected: dict[str, Any]) -> None:
    answer = await client.items("PATCH", {"operations": operations}, item="a")
    assert answer.status == 200, answer.body
    document = answer.json()
    assert {name: document.get(name) for name in expected} == expected


@pytest.mark.parametrize("condition", [7, "WHERE", "FROM c WHERE c.n =", "FROM c WHERE c.n = @n"])
async def test_a_condition_that_is_refused(client: Client, condition: Any) -> None:
    body = {"condition": condition, "operations": [{"op": "set", "path": "/n", "value": 2}]}
    assert (await client.items("PATCH", body, item="a")).status == 400


@pytest.mark.parametrize(("n", "status"), [(1, 200), (2, 412)])
async def test_a_patch_in_a_batch_keeps_its_condition(client: Client, n: int, status: int) -> None:
    patch = {"condition": f"FROM c WHERE c.n = {n}", "operations": [{"op": "set", "path": "/n", "value": 9}]}
    answer = await client.items(body=[{"operationType": "Patch", "id": "a", "resourceBody": patch}], **BATCH)
    assert [result["statusCode"] for result in answer.json()] == [status]
    assert (await client.items("GET", item="a")).json()["n"] == (9 if status == 200 else 1)


@pytest.mark.parametrize("condition", ["c.n = @n", "REGEXMATCH(c.text, '(')", "c.n ="])
async def test_a_condition_that_is_no_condition_fails_its_operation_in_a_batch(
    client: Client, condition: str
) -> None:
    patch = {
        "condition": f"FROM c WHERE {condition}",
        "operations": [{"op": "set", "path": "/n", "value": 9}],
    }
    operations = [
        {"operationType": "Upsert", "resourceBody": {"id": "z", "pk": "p"}},
        {"operationType": "Patch", "id": "a", "resourceBody": patch},
    ]
    answer = await client.items(body=operations, **BATCH)
    assert answer.status == 207
    assert [result["statusCode"] for result in answer.json()] == [424, 400]


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"[]", b"[1]", [{"operationType": "Create"}] * 101])
async def test_a_batch_that_is_refused_as_a_whole(client: Client, body: Any) -> None:
    assert (await client.items(body=body, **BATCH)).status == 400


@pytest.mark.parametrize(
    "operation",
    [
        {},
        {"operationType": "Fly"},
        {"operationType": "Create"},
        {"operationType": "Create", "resourceBody": 1},
        {"operationType": "Upsert", "resourceBody": {"pk": "p"}},
        {"operationType": "Upsert", "resourceBody": {"id": "x", "pk": "q"}},
        {"operationType": "Patch", "id": "a", "resourceBody": {}},
        {"operationType": "Replace", "id": "a", "resourceBody": {"id": "b", "pk": "q"}},
    ],
)
async def test_a_batch_with_a_malformed_operation_fails_with_it(client: Client, operation: Any) -> None:
    create = {"operationType": "Create", "resourceBody": {"id": "b", "pk": "p"}}
    answer = await client.items(body=[create, operation, create], **BATCH)
    assert answer.status == 207
    assert [result["statusCode"] for result in answer.json()] == [424, 400, 424]
    assert float(answer.headers["x-ms-request-charge"]) > 5  # the create was executed, and undone
    assert (await client.items("GET", item="b")).status == 404


@pytest.mark.parametrize("bare", [True, False])
async def test_the_operations_of_a_patch_may_come_as_a_bare_list(client: Client, bare: bool) -> None:
    operations = [{"op": "incr", "path": "/n", "value": 1}]
    body = operations if bare else {"operations": operations}
    assert (await client.items("PATCH", body, item="a")).json()["n"] == 2
    in_batch = [{"operationType": "Patch", "id": "a", "resourceBody": body}]
    assert (await client.items(body=in_batch, **BATCH)).status == 200
    assert (await client.items("GET", item="a")).json()["n"] == 3


BULK = {**BATCH, "x_ms_cosmos_batch_atomic": "False", "x_ms_documentdb_partitionkey": ""}


async def in_bulk(client: Client, partition: str, *operations: Any, **headers: str) -> list[int]:
    named = {"x_ms_documentdb_partitionkeyrangeid": partition}
    answer = await client.items(body=list(operations), **{**BULK, **named, **headers})
    statuses = [result["statusCode"] for result in answer.json()]
    assert answer.status == (200 if all(status < 400 for status in statuses) else 207)
    return statuses


def upsert(key: str, **properties: Any) -> dict[str, Any]:
    item = {"id": "b", "pk": key, **properties}
    return {"operationType": "Upsert", "partitionKey": orjson.dumps([key]).decode(), "resourceBody": item}


async def test_operations_in_bulk_have_keys_of_their_own_and_stand_for_themselves(client: Client) -> None:
    operations = [upsert(f"key-{n}") for n in range(20)]
    first = await in_bulk(client, "0", *operations)
    second = await in_bulk(client, "1", *operations)
    assert {first[n] for n in range(20)} == {201, 410}  # each key lies in one of the two partitions
    assert [sorted(pair) for pair in zip(first, second, strict=True)] == [[201, 410]] * 20
    for operation in operations:
        key = {"x_ms_documentdb_partitionkey": operation["partitionKey"]}
        assert (await client.items("GET", item="b", **key)).status == 200


@pytest.mark.parametrize(
    "operation",
    [
        {"operationType": "Upsert", "resourceBody": {"id": "c", "pk": "p"}},
        {"operationType": "Upsert", "partitionKey": ["p"], "resourceBody": {"id": "c", "pk": "p"}},
        {"operationType": "Upsert", "partitionKey": '["p"', "resourceBody": {"id": "c", "pk": "p"}},
        {"operationType": "Upsert", "partitionKey": '["p", "q"]', "resourceBody": {"id": "c", "pk": "p"}},
        {"operationType": "Upsert", "partitionKey": '["p"]', "resourceBody": {"id": "c", "pk": "q"}},
        {"operationType": "Fly", "partitionKey": '["p"]'},
    ],
)
@pytest.mark.parametrize(("go_on", "last"), [("True", 201), ("False", 424), ("", 201)])
async def test_a_malformed_operation_in_bulk_fails_alone(
    client: Client, operation: dict[str, Any], go_on: str, last: int
) -> None:
    named = (await client.items("GET", item="a")).headers["x-ms-documentdb-partitionkeyrangeid"]
    headers = {"x_ms_cosmos_batch_continue_on_error": go_on}
    before = {"operationType": "Read", "id": "a", "partitionKey": '["p"]'}
    assert await in_bulk(client, named, before, operation, upsert("p"), **headers) == [200, 400, last]


@given(st.integers(-(2**63), 2**64 - 1) | st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 10**16]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_integers_are_stored_as_doubles(client: Client, number: int) -> None:
    body = {"id": "n", "pk": "p", "n": number, "deep": [{"n": number}], "text": str(number)}
    written = (await client.items(body=body, x_ms_documentdb_is_upsert="True")).json()
    read = (await client.items("GET", item="n")).json()
    for document in (written, read):
        assert document["text"] == str(number)
        for found in (document["n"], document["deep"][0]["n"]):
            assert found == float(number)
            assert type(found) is (int if -(2**53) <= number <= 2**53 else float)


async def test_a_patch_counts_in_doubles(client: Client) -> None:
    operations = [{"op": "set", "path": "/n", "value": 2**53}, {"op": "incr", "path": "/n", "value": 1}]
    assert (await client.items("PATCH", operations, item="a")).json()["n"] == float(2**53)
    most = [{"op": "set", "path": "/n", "value": 2**63 - 1}, {"op": "incr", "path": "/n", "value": 2**63 - 1}]
    assert (await client.items("PATCH", most, item="a")).json()["n"] == 2.0**64


async def test_a_batch_has_two_megabytes_at_most(client: Client) -> None:
    body = [
        {"operationType": "Create", "resourceBody": {"id": f"b{n}", "pk": "p", "text": "x" * 600_000}}
        for n in range(4)
    ]
    assert (await client.items(body=body, **BATCH)).status == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        {},
        {"query": 1},
        {"query": ""},
        {"query": "SELECT"},
        {"query": "SELECT * FROM c WHERE c.n = @n"},
        {"query": "SELECT TOP @n * FROM c", "parameters": [{"name": "@n", "value": "x"}]},
        {"query": "SELECT * FROM c", "parameters": 1},
        {"query": "SELECT * FROM c", "parameters": [1]},
        {"query": "SELECT udf.f(c) FROM c"},
    ],
)
async def test_queries_that_are_refused(client: Client, body: Any) -> None:
    answer = await client.items(body=body, **QUERY)
    assert answer.status == 400, answer.body


async def test_a_query_over_all_partitions_must_be_meant(client: Client) -> None:
    query = {"query": "SELECT * FROM c"}
    headers = {**QUERY, "x_ms_documentdb_partitionkey": ""}
    refused = await client.items(body=query, **headers)
    # Without a sub-status: with 1004 a client would fetch a query plan and go on.
    assert (refused.status, refused.headers.get("x-ms-substatus")) == (400, None)
    meant = await client.items(body=query, **headers, x_ms_documentdb_query_enablecrosspartition="True")
    assert meant.json()["_count"] == 1


@pytest.mark.parametrize(
    ("kind", "link", "path", "status"),
    [
        ("docs", "dbs/d/colls/none", "/dbs/d/colls/none/docs", 404),
        ("docs", "", "/docs", 404),
        ("colls", "x/y", "/x/y/colls", 404),
        ("things", "dbs/d/colls/c", "/dbs/d/colls/c/things", 404),
        ("sprocs", "dbs/d/colls/c", "/dbs/d/colls/c/sprocs", 400),
        ("docs", "dbs/d/colls/c/docs/a/b", "/dbs/d/colls/c/docs/a/b/c", 404),
    ],
)
async def test_paths_that_name_nothing(client: Client, kind: str, link: str, path: str, status: int) -> None:
    answer = await client.call("GET", kind, link, path)
    assert answer.status == status
    if path.startswith("/dbs/d/colls/none"):
        assert answer.headers["x-ms-substatus"] == "1003"  # the owner is missing, not the item


async def test_a_client_that_leaves_in_the_middle_of_a_request_changes_nothing(client: Client) -> None:
    date = formatdate(usegmt=True)
    answer = await client.send(
        "POST",
        "/dbs/d/colls/c/docs",
        authorization=signature("POST", "docs", "dbs/d/colls/c", date),
        x_ms_date=date,
        x_ms_documentdb_partitionkey='["p"]',
        chunks=[
            {"type": "http.request", "body": b'{"id": "left", "pk": "p"}', "more_body": True},
            {"type": "http.disconnect"},
        ],
    )
    assert answer is None
    assert (await client.items("GET", item="left")).status == 404


async def test_a_request_has_four_megabytes_at_most(client: Client) -> None:
    megabyte = {"type": "http.request", "body": b"x" * 2**20, "more_body": True}
    answer = await client.send("POST", "/dbs", chunks=[megabyte] * 6)
    assert answer is not None
    assert answer.status == 413


@pytest.mark.parametrize(
    ("authorization", "date", "status"),
    [
        ("", "now", 401),
        ("type%3Dmaster%26ver%3D1.0%26sig%3D", "now", 401),
        ("type=aad&ver=1.0&sig=x", "now", 401),
        (None, "Thu, 01 Jan 1970 00:00:00 GMT", 403),
        (None, "yesterday", 403),
        (None, "", 401),
    ],
)
async def test_signatures_that_are_refused(
    client: Client, authorization: str | None, date: str, status: int
) -> None:
    date = formatdate(usegmt=True) if date == "now" else date
    signed = signature("GET", "dbs", "", date) if authorization is None else authorization
    answer = await client.send("GET", "/dbs", authorization=signed, x_ms_date=date)
    assert answer is not None
    assert answer.status == status
    assert KEY.encode() not in answer.body


@pytest.mark.parametrize(
    "rules",
    [
        1,
        [1],
        [{}],
        [{"rate": 2, "status": 503}],
        [{"rate": "1", "status": 503}],
        [{"rate": 1}],
        [{"rate": 1, "status": 500}],
        [{"rate": 1, "drop": "never"}],
        [{"rate": 1, "operation": "fly", "status": 503}],
        [{"rate": 1, "latency_ms": -1}],
        [{"rate": 1, "latency_ms": 10**9}],
        [{"rate": 1, "retries": 3}],
        [{"rate": 1, "container": 7, "status": 503}],
        [{"rate": 1, "crash": "perhaps"}],
        [{"rate": 1, "crash": "inside"}],
        [{"rate": 1, "crash": "inside", "operation": "read"}],
        [{"rate": 1, "crash": "after", "drop": "after"}],
        [{"rate": 1, "status": 503, "skip": -1}],
        [{"rate": 1, "status": 503, "skip": True}],
        [{"rate": 1, "status": 503, "times": 0}],
        [{"rate": 1, "status": 503, "times": 1.5}],
    ],
)
async def test_fault_rules_that_are_refused(client: Client, rules: Any) -> None:
    answer = await client.send("PUT", "/_local/faults", orjson.dumps({"rules": rules}), x_local_key=KEY)
    assert answer is not None
    assert answer.status == 400, answer.body
    assert (await client.items("GET", item="a")).status == 200


@pytest.mark.parametrize("key", ["", "x", KEY[:-1]])
async def test_the_admin_surface_wants_the_key(client: Client, key: str) -> None:
    answer = await client.send("GET", "/_local/charges", x_local_key=key)
    assert answer is not None
    assert answer.status == 401


@pytest.mark.parametrize("position", ["-1", "x", "9" * 19, "9" * 5_000])
async def test_a_position_that_no_feed_has_is_refused(client: Client, position: str) -> None:
    answer = await client.items("GET", a_im="Incremental feed", if_none_match=f'"{position}"')
    assert answer.status == 400
    assert len(answer.body) < 500


@pytest.mark.parametrize("header", ["x", "-", '"'])
@pytest.mark.parametrize("name", ["if_none_match", "if_modified_since", "x_ms_max_item_count"])
async def test_a_change_feed_request_that_is_refused(client: Client, name: str, header: str) -> None:
    answer = await client.items("GET", a_im="Incremental feed", **{name: header})
    assert answer.status == 400, answer.body


async def test_a_partition_that_is_gone_says_so(client: Client) -> None:
    headers = {"x_ms_documentdb_partitionkey": "", "x_ms_documentdb_partitionkeyrangeid": "99"}
    answer = await client.items("GET", a_im="Incremental feed", **headers)
    assert (answer.status, answer.headers["x-ms-substatus"]) == (410, "1002")


@pytest.mark.parametrize(
    "headers",
    [
        {"x_ms_offer_throughput": "x"},
        {"x_ms_offer_throughput": "399"},
        {"x_ms_cosmos_offer_autopilot_settings": "{"},
        {"x_ms_cosmos_offer_autopilot_settings": "[]"},
        {"x_ms_cosmos_offer_autopilot_settings": '{"maxThroughput": 500}'},
        {"x_ms_cosmos_offer_autopilot_settings": '{"maxThroughput": 1000}', "x_ms_offer_throughput": "400"},
    ],
)
async def test_throughput_that_is_refused(client: Client, headers: dict[str, str]) -> None:
    body = {"id": "e", "partitionKey": {"paths": ["/pk"], "kind": "Hash"}}
    answer = await client.call("POST", "colls", "dbs/d", "/dbs/d/colls", body, **headers)
    assert answer.status == 400


EXCLUDED = [{"path": "/a/?"}]


@pytest.mark.parametrize(
    "properties",
    [
        {"id": "a/b"},
        {"id": ""},
        {"partitionKey": None},
        {"partitionKey": {"paths": []}},
        {"partitionKey": {"paths": ["pk"]}},
        {"partitionKey": {"paths": ["/a", "/b"], "kind": "Hash"}},
        {"partitionKey": {"paths": ["/a", "/b", "/c", "/d"], "kind": "MultiHash"}},
        {"partitionKey": {"paths": ["/pk"], "version": 1}},
        {"partitionKey": {"paths": ["/a/*"]}},
        {"partitionKey": {"paths": ["/a/[]/b"]}},
        {"partitionKey": {"paths": ["/_ts"]}},
        {"partitionKey": {"paths": ["/a", "/a"], "kind": "MultiHash"}},
        {"defaultTtl": 0},
        {"defaultTtl": "x"},
        {"indexingPolicy": 1},
        {"indexingPolicy": {"includedPaths": [{"path": "/*"}], "compositeIndexes": [[{"path": "/a"}]]}},
        {
            "indexingPolicy": {
                "includedPaths": [{"path": "/*"}],
                "compositeIndexes": [[{"path": "/a/?"}, {"path": "/b"}]],
            }
        },
        {
            "indexingPolicy": {
                "includedPaths": [{"path": "/*"}],
                "compositeIndexes": [[{"path": "/a", "order": "up"}, {"path": "/b"}]],
            }
        },
        {
            "indexingPolicy": {
                "includedPaths": [{"path": "/*"}],
                "compositeIndexes": [[{"path": f"/{n}"} for n in range(9)]],
            }
        },
        {
            "indexingPolicy": {
                "includedPaths": [{"path": "/*"}],
                "compositeIndexes": [[{"path": "/a"}, {"path": "/b"}]] * 101,
            }
        },
        {"indexingPolicy": {"includedPaths": [{"path": "/*"}, *({"path": f"/{n}/?"} for n in range(1_500))]}},
        {
            "indexingPolicy": {
                "includedPaths": [{"path": "/*"}],
                "excludedPaths": [{"path": f"/{n}/?"} for n in range(1_501)],
            }
        },
        *(
            {"indexingPolicy": {"includedPaths": [{"path": "/*"}], "excludedPaths": [{"path": path}]}}
            for path in ("/a", "/a/[]", "/a-b/?", "/a b/?", "/ä/?", "/?", "/a//?", "/a/*/?")
        ),
        {"indexingPolicy": {"includedPaths": [{"path": "/*"}, *EXCLUDED], "excludedPaths": EXCLUDED}},
        *(
            {
                "indexingPolicy": {
                    "includedPaths": [{"path": "/*"}],
                    "compositeIndexes": [[{"path": p} for p in paths]],
                }
            }
            for paths in (("/a", "/a"), ("/a", "/b/[]/c"), ("/a", "/b-c"))
        ),
        {"indexingPolicy": {"indexingMode": "none"}, "defaultTtl": 60},
        {"uniqueKeyPolicy": []},
        {"uniqueKeyPolicy": {"uniqueKeys": [{"paths": []}]}},
        {"uniqueKeyPolicy": {"uniqueKeys": [{"paths": ["a"]}]}},
        {"uniqueKeyPolicy": {"uniqueKeys": [{"paths": ["/a/*"]}]}},
        {"uniqueKeyPolicy": {"uniqueKeys": [{"paths": ["/a"] * 2}]}},
        {"uniqueKeyPolicy": {"uniqueKeys": [{"paths": [f"/{n}" for n in range(17)]}]}},
        {"uniqueKeyPolicy": {"uniqueKeys": [{"paths": ["/a"]}] * 11}},
    ],
)
async def test_containers_that_are_refused(client: Client, properties: dict[str, Any]) -> None:
    body = {"id": "e", "partitionKey": {"paths": ["/pk"], "kind": "Hash"}, **properties}
    answer = await client.call("POST", "colls", "dbs/d", "/dbs/d/colls", body)
    assert answer.status == 400, answer.body
