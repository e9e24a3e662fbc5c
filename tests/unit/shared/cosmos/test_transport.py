"""The real SDK on a scripted service: how often it is asked, how long it takes, and what comes of it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import AzureError
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from shared.cosmos import client
from shared.cosmos.charges import Cost, measured_cost
from shared.cosmos.client import connect
from shared.cosmos.deadlines import deadline
from shared.cosmos.faults import FAULTS
from shared.cosmos.retries import (
    ATTEMPT_SECONDS,
    FAULT_SUMMARY_SECONDS,
    OPERATION_SECONDS,
    REQUEST,
    UnavailableError,
    is_service_fault,
    is_transient,
)
from shared.errors import DeadlineError
from shared.settings import Settings
from tests.scripted_service import ACCOUNT, Planned, ScriptedService
from tests.virtual_time import run

SECRET = f"AccountEndpoint={ACCOUNT};AccountKey=c2VjcmV0;"
PAGES = 3
EPSILON = 0.01
MOST = REQUEST.attempts or 0
LONGEST_PAUSES = sum(min(REQUEST.longest_pause, REQUEST.first_pause * 2**n) for n in range(MOST - 1))


class Kind(NamedTuple):
    """A kind of operation: what the fleet calls, and what the service is asked for by it."""

    on_wire: str
    call: Callable[[ContainerProxy], Awaitable[Any]]
    result: Any
    pages: int = 1


ITEM = {"id": "i", "pk": "p"}
STORED = ITEM | {"_etag": '"e"'}
DOCUMENTS = [{"id": f"i{page}", "pk": "p"} for page in range(PAGES)]
GUARD: dict[str, Any] = {"etag": '"e"', "match_condition": MatchConditions.IfNotModified}


async def _listed(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


async def _feed_pages(container: ContainerProxy) -> list[Any]:
    pages = container.query_items_change_feed(start_time="Beginning", max_item_count=1).by_page()
    return [document async for page in pages async for document in page]


KINDS = {
    "point read": Kind("read", lambda c: c.read_item("i", "p"), STORED),
    "create": Kind("create", lambda c: c.create_item(ITEM), STORED),
    "upsert": Kind("upsert", lambda c: c.upsert_item(ITEM), STORED),
    "replace": Kind("replace", lambda c: c.replace_item("i", ITEM, **GUARD), STORED),
    "patch": Kind(
        "patch", lambda c: c.patch_item("i", "p", [{"op": "set", "path": "/a", "value": 1}], **GUARD), STORED
    ),
    "delete": Kind("delete", lambda c: c.delete_item("i", "p", **GUARD), None),
    "batch": Kind(
        "batch",
        lambda c: c.execute_item_batch([("create", (ITEM,))], "p"),
        [{"statusCode": 201, "eTag": "e"}],
    ),
    "query of a partition": Kind(
        "query", lambda c: _listed(c.query_items("SELECT * FROM c", partition_key="p")), DOCUMENTS, PAGES
    ),
    "query of all partitions": Kind(
        "query", lambda c: _listed(c.query_items("SELECT * FROM c")), DOCUMENTS, PAGES
    ),
    "change feed": Kind("change_feed", _feed_pages, DOCUMENTS, PAGES + 1),
    "read_items": Kind("query", lambda c: c.read_items([("i0", "p"), ("i1", "p")]), None, PAGES),
    "properties": Kind("get_colls", lambda c: c.read(), None),
}


@asynccontextmanager
async def connected(service: ScriptedService, **settings: str) -> AsyncIterator[ContainerProxy]:
    """Yield the container through a client of the fleet, with its properties in the SDK's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "transport", lambda _: service)
        plan, service.plan = service.plan, {}
        async with connect(Settings(CosmosDb=SECRET, **settings), user_agent="tests") as opened:
            container = opened.get_database_client("d").get_container_client("c")
            await container.read_item("i", "p")
            await _listed(container.query_items("SELECT * FROM c"))
            service.plan = plan
            service.attempts.clear()
            yield container


class Outcome(NamedTuple):
    result: Any
    error: Exception | None
    seconds: float
    cost: Cost


async def measured(work: Awaitable[Any]) -> Outcome:
    began, result, failure = asyncio.get_running_loop().time(), None, None
    with measured_cost() as cost:
        try:
            result = await work
        except Exception as error:  # noqa: BLE001  the outcome is judged by the caller
            failure = error
    return Outcome(result, failure, asyncio.get_running_loop().time() - began, cost)


pauses = st.sampled_from([None, 1, 10, 250, 1_000, 4_000, 29_000, 600_000])
faults = st.one_of(
    st.builds(Planned, st.just("429"), pauses),
    st.builds(
        Planned, st.sampled_from(["503", "408", "449", "500", "502", "504"]), st.sampled_from([None, 50])
    ),
    st.builds(Planned, st.sampled_from(["refused", "lost", "silent"])),
)


def faults_of(kind: Kind) -> st.SearchStrategy[list[Planned]]:
    own = faults
    if kind.on_wire == "batch":
        own = st.one_of(faults, st.builds(Planned, st.just("inside"), st.sampled_from([None, 500])))
    if kind.on_wire == "read":
        own = st.one_of(faults, st.just(Planned("404.1002")))
    return st.lists(own, max_size=10)


def expected_success(plan: list[Planned], most_seconds: float) -> bool | None:
    """Return whether an operation must succeed (True), must fail (False), or may do either.

    Computed from the numbers of the table alone: all faults of the plan befall its first request.
    """
    needed = sum(ATTEMPT_SECONDS if p.kind == "silent" else (p.retry_after_ms or 0) / 1000 for p in plan)
    if len(plan) >= MOST or needed >= most_seconds:
        return False
    return True if needed + LONGEST_PAUSES < most_seconds else None


def check_attempts(service: ScriptedService, kind: Kind, outcome: Outcome) -> None:
    attempts = service.attempts[kind.on_wire]
    of_a_request = Counter[str]()
    run_length = 0
    for attempt in attempts:
        run_length += 1
        of_a_request[attempt.url] = max(of_a_request[attempt.url], run_length)
        if attempt.planned is None:
            run_length = 0
    assert max(of_a_request.values()) <= MOST
    assert len(attempts) <= MOST * kind.pages
    for attempt, after in pairwise(attempts):
        if attempt.planned is not None and attempt.planned.retry_after_ms:
            assert after.at - attempt.at >= attempt.planned.retry_after_ms / 1000 - EPSILON
    failed = [a.planned for a in attempts if a.planned is not None and a.planned.kind != "404.1002"]
    throttled = sum(planned.kind in ("429", "inside") for planned in failed)
    assert (outcome.cost.throttled, outcome.cost.faults >= len(failed) - throttled) == (throttled, True)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_operation_is_asked_more_often_or_lasts_longer_than_the_table_says(
    name: str, data: st.DataObject
) -> None:
    kind = KINDS[name]
    plan = data.draw(faults_of(kind))
    service = ScriptedService({kind.on_wire: plan}, pages=PAGES)

    async def work() -> Outcome:
        async with connected(service) as container:
            return await measured(kind.call(container))

    outcome = run(work())
    check_attempts(service, kind, outcome)
    assert outcome.seconds <= OPERATION_SECONDS * kind.pages + EPSILON
    succeeds = expected_success(plan, OPERATION_SECONDS)
    if outcome.error is None:
        assert succeeds is not False
        assert kind.result is None or _plain(outcome.result) == kind.result
    else:
        assert succeeds is not True
        assert is_transient(outcome.error)
        assert is_service_fault(outcome.error)


def _plain(result: Any) -> Any:
    return list(result) if isinstance(result, list) else dict(result) if isinstance(result, dict) else result


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "kind_of_fault", ["429", "503", "408", "refused", "lost", "silent", "403.3", "404.1002"]
)
def test_a_service_that_never_recovers_is_asked_for_one_request_and_then_no_more(
    name: str, kind_of_fault: str
) -> None:
    kind, service = KINDS[name], ScriptedService(pages=PAGES)

    async def work() -> Outcome:
        async with connected(service) as container:
            if kind_of_fault == "403.3":  # the account answers, and names the same region again
                service.plan[kind.on_wire] = [Planned(kind_of_fault)] * 200
            else:
                service.always = Planned(kind_of_fault, 500 if kind_of_fault == "429" else None)
            return await measured(kind.call(container))

    outcome = run(work())
    assert outcome.error is not None
    assert len(service.attempts[kind.on_wire]) <= MOST
    # What the SDK asks for besides (where a range went, which regions there are) has its own attempts.
    assert sum(map(len, service.attempts.values())) <= 4 * MOST
    assert outcome.seconds <= OPERATION_SECONDS + 1 + EPSILON


NOT_OF_A_DOCUMENT = [408, 410, 429, 449, 500, 502, 503, 504]
SUB_STATUSES = ["", "0", "3", "1000", "1002", "1003", "1007", "1008", "1022", "1024", "5300"]
TO_SDK = ["403.3", "403.1008", "404.1002", "410.1002", "410.1007"]

refusals = st.builds(
    lambda status, sub: Planned(f"{status}.{sub}" if sub else str(status), None),
    st.sampled_from([400, 401, 403, 404, *NOT_OF_A_DOCUMENT]),
    st.sampled_from(SUB_STATUSES),
)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=30, deadline=None)
@example(cycle=[Planned("410.1002")])
@example(cycle=[Planned("410.1007")])
@example(cycle=[Planned("403.3")])
@example(cycle=[Planned("400.1024")])
@example(cycle=[Planned("410.1002"), Planned("404.1002")])
@given(cycle=st.lists(refusals, min_size=1, max_size=3))
def test_whatever_an_operation_is_always_answered_it_ends_and_says_so(
    name: str, cycle: list[Planned]
) -> None:
    """The rest of the service is well: the SDK learns where to ask again, and the answer is the same."""
    kind = KINDS[name]
    service = ScriptedService({kind.on_wire: cycle * 2_000}, pages=PAGES)
    recorded: Counter[str] = Counter()

    async def work() -> Outcome:
        async with connected(service) as container:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(FAULTS, "record", lambda operation, fault: recorded.update([operation.name]))
                return await measured(kind.call(container))

    outcome = run(work())
    error, attempts = outcome.error, service.attempts[kind.on_wire]
    assert isinstance(error, AzureError)
    assert len(attempts) <= MOST
    assert sum(map(len, service.attempts.values())) <= 4 * MOST
    assert outcome.seconds <= OPERATION_SECONDS + EPSILON
    planned = [each.planned.kind for each in attempts if each.planned is not None]
    always = [*TO_SDK[:3], *(["400.1024"] if kind.on_wire in ("query", "change_feed", "get_colls") else [])]
    transient = [each for each in planned if int(each[:3]) in NOT_OF_A_DOCUMENT or each in always]
    assert recorded[kind.on_wire] == len(transient)
    if len(transient) == len(planned):
        assert isinstance(error, UnavailableError)
        assert len(planned) == MOST
        assert planned[-1][:3] in str(error) or "replica lags" in str(error)
    for attempt, after in pairwise(attempts):
        assert after.at > attempt.at or (attempt.planned and attempt.planned.kind not in transient)


def test_a_page_that_follows_one_whose_partition_moved_has_attempts_of_its_own() -> None:
    moved = [Planned("410.1002")] * 3
    service = ScriptedService(pages=2)

    async def work() -> Outcome:
        async def pages_in_one_task(container: ContainerProxy) -> list[Any]:
            pages = container.query_items_change_feed(start_time="Beginning", max_item_count=1).by_page()
            listed = []
            async for page in pages:
                listed += [document async for document in page]
                service.plan["change_feed"] = list(moved)
            return listed

        async with connected(service) as container:
            service.plan["change_feed"] = list(moved)
            return await measured(pages_in_one_task(container))

    outcome = run(work())
    assert outcome.result == DOCUMENTS[:2]
    assert len(service.attempts["change_feed"]) == 3 * (3 + 1)


@pytest.mark.parametrize("kind_of_fault", ["429", "503", "silent", "refused"])
def test_connecting_to_a_service_that_never_answers_ends_in_time(kind_of_fault: str) -> None:
    service = ScriptedService()
    service.always = Planned(kind_of_fault)

    async def work() -> Outcome:
        async def connecting() -> None:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(client, "transport", lambda _: service)
                async with connect(Settings(CosmosDb=SECRET), user_agent="tests"):
                    raise AssertionError("it did not answer")

        return await measured(connecting())

    outcome = run(work())
    assert isinstance(outcome.error, AzureError)
    assert outcome.seconds <= OPERATION_SECONDS + EPSILON
    assert sum(map(len, service.attempts.values())) <= MOST


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=25, deadline=None)
@given(data=st.data(), seconds=st.sampled_from([0.5, 3.0, 15.0]))
def test_no_operation_outlives_the_deadline_of_its_work(
    name: str, data: st.DataObject, seconds: float
) -> None:
    kind = KINDS[name]
    plan = data.draw(faults_of(kind))
    service = ScriptedService({kind.on_wire: plan}, pages=PAGES)

    async def work() -> Outcome:
        async def in_time(container: ContainerProxy) -> Any:
            async with deadline(seconds):
                return await kind.call(container)

        async with connected(service) as container:
            return await measured(in_time(container))

    outcome = run(work())
    assert outcome.seconds <= seconds + EPSILON
    if outcome.error is None:
        assert expected_success(plan, seconds) is not False
    else:
        assert expected_success(plan, seconds) is not True
        assert is_transient(outcome.error)


def test_work_that_asks_nothing_ends_at_its_deadline_too_and_the_nearer_deadline_holds() -> None:
    async def work() -> float:
        began = asyncio.get_running_loop().time()
        with pytest.raises(DeadlineError):
            async with deadline(2), deadline(60):
                await asyncio.sleep(1_000)
        return asyncio.get_running_loop().time() - began

    assert run(work()) == pytest.approx(2)


def test_a_timeout_of_something_inside_is_no_deadline() -> None:
    async def work() -> None:
        async with deadline(10):
            raise TimeoutError("of a socket")

    with pytest.raises(TimeoutError, match="of a socket"):
        run(work())


THROTTLED = {"statusCode": 429, "retryAfterMilliseconds": 5}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)
results_of_operations = st.lists(
    st.fixed_dictionaries(
        {"statusCode": st.sampled_from([424, 429, 503]) | json_values},
        optional={"retryAfterMilliseconds": st.integers(-10, 100) | json_values},
    )
    | json_values,
    min_size=1,
    max_size=3,
)
cut_off = st.builds(
    lambda body, at: body[: int(len(body) * at)],
    st.just(json.dumps([{"statusCode": 424}, THROTTLED]).encode()),
    st.floats(0, 0.999),
)


@example(body=json.dumps([THROTTLED | {"retryAfterMilliseconds": None}]).encode())
@example(body=b'[{"statusCode":42')
@example(body=b"\xff[]")
@example(body=b'[{"statusCode": Infinity}]')
@example(body=b"[" * 100_000)
@given(
    body=cut_off | st.binary(max_size=8) | results_of_operations.map(lambda value: json.dumps(value).encode())
)
@settings(max_examples=150, deadline=None)
def test_a_batch_answer_of_whatever_shape_is_no_fault_of_a_document(body: bytes) -> None:
    service = ScriptedService({"batch": [Planned("207", body=body)] * 100})

    async def work() -> Outcome:
        async with connected(service) as container:
            return await measured(KINDS["batch"].call(container))

    error = run(work()).error
    assert error is None or is_service_fault(error) or _blames_the_document(error)
    assert len(service.attempts["batch"]) <= MOST


def _blames_the_document(error: Exception) -> bool:
    return isinstance(error, CosmosBatchOperationError | CosmosHttpResponseError) and (
        error.status_code in (400, 413)
    )


@example(Planned("400"))
@example(Planned("403"))
@example(Planned("413"))
@given(st.builds(Planned, st.sampled_from(["400", "401", "403", "404", "409", "412", "413", "404.1003"])))
@settings(max_examples=10, deadline=None)
def test_an_answer_that_would_be_the_same_again_is_not_asked_for_again(planned: Planned) -> None:
    service = ScriptedService({"read": [planned]})

    async def work() -> Outcome:
        async with connected(service) as container:
            return await measured(container.read_item("i", "p"))

    outcome = run(work())
    assert isinstance(outcome.error, CosmosHttpResponseError)
    assert outcome.error.status_code == int(planned.kind.partition(".")[0])
    assert len(service.attempts["read"]) == 1
    assert (outcome.cost.throttled, outcome.cost.faults) == (0, 0)


def test_the_error_names_operation_and_fault_and_neither_document_nor_person() -> None:
    service = ScriptedService({"read": [Planned("429", 1_500)] * MOST})

    async def work() -> Outcome:
        async with connected(service) as container:
            return await measured(container.read_item("user_erika", "erika@example.com"))

    error = run(work()).error
    assert isinstance(error, UnavailableError)
    assert (error.retry_after, "c read" in str(error), "429" in str(error)) == (1.5, True, True)
    assert "erika" not in str(error)


def test_throttling_is_logged_at_once_and_then_summed_up_not_line_by_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = ScriptedService()
    monkeypatch.setattr(FAULTS, "_counts", Counter())

    async def work() -> float:
        loop = asyncio.get_running_loop()
        async with connected(service) as container:
            service.plan["read"] = [Planned("429", 1_000)] * 1_000
            began = loop.time()
            while loop.time() - began < 180:
                await measured(container.read_item("i", "p"))
            await asyncio.sleep(2 * FAULT_SUMMARY_SECONDS)
            return loop.time() - began

    with capture_logs() as logs:
        lasted = run(work())
    events = [event for event in logs if event["event"] == "database_faults"]
    assert events[0]["throttled"] == 1
    assert (events[0]["log_level"], events[0]["faults"]) == ("warning", {"c read 429": 1})
    assert sum(event["throttled"] for event in events) == len(service.attempts["read"])
    assert len(events) <= lasted / FAULT_SUMMARY_SECONDS + 1


def test_a_split_range_is_left_to_the_sdk_which_asks_what_has_taken_its_place() -> None:
    service = ScriptedService({"query": [Planned("410.1002")]}, pages=PAGES)

    async def work() -> Outcome:
        async with connected(service) as container:
            return await measured(_listed(container.query_items("SELECT * FROM c")))

    outcome = run(work())
    assert outcome.error is None
    assert list(outcome.result) == DOCUMENTS
    times = [attempt.at for attempt in service.attempts["query"]]
    assert times[0] < times[1] <= REQUEST.first_pause
    assert outcome.cost.faults == 1


@pytest.mark.parametrize(
    ("preferred", "read_at"),
    [("", "east"), ("West Europe, East US", "west"), ("westeurope", "west"), ("Mars", "east")],
)
def test_reads_go_to_the_first_preferred_region_and_writes_where_the_account_takes_them(
    preferred: str, read_at: str
) -> None:
    regions = {"East US": "http://east.invalid:9/", "West Europe": "http://west.invalid:9/"}
    service = ScriptedService(regions=regions)

    async def work() -> None:
        async with connected(service, FLEET_PREFERRED_LOCATIONS=preferred) as container:
            await container.read_item("i", "p")
            await container.upsert_item(ITEM)

    run(work())
    hosts = {name: {urlsplit(a.url).hostname for a in of} for name, of in service.attempts.items()}
    assert hosts["read"] == {f"{read_at}.invalid"}
    assert hosts["upsert"] == {"east.invalid"}
