"""What becomes of a batch: delivered, retried, lost or redelivered, as on the platform."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import azure.functions as func
import pytest
from azure.cosmos import PartitionKey

from local.host.lag import measure_lag
from local.host.lease_store import utc_now
from local.host.leases import Lease
from tests.cosmos_server import ServerProcess
from tests.integration.host.conftest import (
    EXPIRATION,
    AppWriter,
    Database,
    balanced,
    drained,
    hosting,
    trigger,
    until,
)
from tests.integration.host.recorder import Recorder, Seen

RETRY = '@app.retry(strategy="fixed_delay", max_retry_count="{count}", delay_interval="00:00:00")'
IDS = [f"d{n}" for n in range(40)]


async def test_every_change_arrives_once_with_its_system_properties(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    folder = app(trigger())
    await database.write(*IDS, text="x")
    async with hosting(folder):
        await drained(folder)
        assert sorted(recorder.ids()) == sorted(IDS)
        await database.write("d0", text="again")
        await drained(folder)
    assert recorder.ids()[len(IDS) :] == ["d0"]
    assert max(len(seen.ids) for seen in recorder.done) <= 10
    documents = recorder.done[-1].documents
    assert isinstance(documents, func.DocumentList)
    assert documents[0]["text"] == "again"
    assert {"_ts", "_etag", "_rid", "_lsn"} <= set(documents[0])
    assert isinstance(documents[0]["_lsn"], int)


async def test_lease_documents_have_the_processors_format(
    database: Database, recorder: Recorder, app: AppWriter, account: str
) -> None:
    folder = app(trigger(options='lease_container_prefix="p-"'))
    await database.write(*IDS)
    async with hosting(folder, "first"):
        await drained(folder)
        leases = await database.lease_documents()
        assert {lease["Owner"] for lease in leases} == {"first"}
    ranges = [item async for item in database.items.read_feed_ranges()]
    assert len(leases) == len(ranges) > 1
    database_rid = (await database.proxy.read())["_rid"]
    container_rid = (await database.items.read())["_rid"]
    host = account.partition("//")[2].partition(":")[0]
    for lease in leases:
        bounds = lease["FeedRange"]["Range"]
        assert lease["LeaseToken"] == f"{bounds['min']}-{bounds['max']}"
        assert lease["id"] == f"p-{host}_{database_rid}_{container_rid}..{lease['LeaseToken']}"
        assert lease["version"] == 1
        assert lease["ContinuationToken"].strip('"').isdigit()
        assert lease["timestamp"].endswith("Z")
    marker = f"p-{host}_{database_rid}_{container_rid}.info"
    assert (await database.leases.read_item(marker, marker))["id"] == marker
    assert await database.owners() == [None] * len(leases)  # given back at the end


async def test_without_a_retry_policy_a_failed_batch_is_lost(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    async def fail_first(seen: Seen) -> None:
        if "d0" in seen.ids:
            raise ValueError("this batch fails")

    recorder.behave = fail_first
    folder = app(trigger())
    await database.write("d0")
    async with hosting(folder):
        await drained(folder)
        await database.write("d1")
        await drained(folder)
    assert [seen.ids for seen in recorder.all] == [("d0",), ("d1",)]
    assert recorder.ids() == ["d1"]


async def test_with_an_unlimited_policy_the_lease_stays_until_the_batch_succeeds(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    measured = asyncio.Event()

    async def fail_until_measured(seen: Seen) -> None:
        if not measured.is_set():
            raise ValueError("not yet")

    recorder.behave = fail_until_measured
    folder = app(trigger(decorators=RETRY.format(count=-1)))
    await database.write("d0")
    async with hosting(folder):
        await recorder.until(lambda: len(recorder.all) == 3)
        [lag] = await measure_lag(folder)
        assert not lag.drained
        assert lag.pending == 1
        measured.set()
        await drained(folder)
    assert [seen.retry for seen in recorder.all] == list(range(len(recorder.all)))
    assert {seen.ids for seen in recorder.all} == {("d0",)}
    assert recorder.ids() == ["d0"]


async def test_used_up_retries_move_on(database: Database, recorder: Recorder, app: AppWriter) -> None:
    async def fail(seen: Seen) -> None:
        raise ValueError("never")

    recorder.behave = fail
    folder = app(trigger(decorators=RETRY.format(count=2)))
    await database.write("d0")
    async with hosting(folder):
        await drained(folder)
    assert [seen.retry for seen in recorder.all] == [0, 1, 2]


async def test_a_time_limit_from_host_json_cancels_the_function_and_the_policy_tries_again(
    database: Database, recorder: Recorder, app: AppWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    cancelled = []

    async def hang_once(seen: Seen) -> None:
        if seen.retry == 0:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(seen.ids)
                raise

    recorder.behave = hang_once
    folder = app(trigger(decorators=RETRY.format(count=1)), host_json={"functionTimeout": "00:00:01"})
    await database.write("d0")
    async with hosting(folder):
        await drained(folder)
    assert cancelled == [("d0",)]
    assert recorder.ids() == ["d0"]
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    [failed] = [line for line in lines if line["event"] == "invocation_failed"]
    assert (failed["error_type"], failed["error"]) == (
        "InvocationTimeoutError",
        "work took longer than 1 s",
    )


async def test_exponential_pauses_and_what_the_context_says_of_the_attempts(
    database: Database, recorder: Recorder, app: AppWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[tuple[int, int, str]] = []
    policy = (
        '@app.retry(strategy="exponential_backoff", max_retry_count="-1", '
        'minimum_interval="00:00:01", maximum_interval="00:00:01")'
    )

    async def fail_twice(seen: Seen) -> None:
        context = seen.context.retry_context
        told.append((context.retry_count, context.max_retry_count, context.rpc_exception.message))
        if seen.retry < 2:
            raise ValueError(f"attempt {seen.retry}")

    recorder.behave = fail_twice
    folder = app(trigger(decorators=policy))
    await database.write("d0")
    async with hosting(folder):
        await drained(folder)
    assert told == [(0, -1, ""), (1, -1, "ValueError: attempt 0"), (2, -1, "ValueError: attempt 1")]
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    pauses = [line["pause_ms"] for line in lines if line["event"] == "invocation_retrying"]
    assert pauses == [1_000, 1_000]  # the minimum, then what the maximum leaves of twice as much


async def test_an_injected_loss_loses_the_batch_in_spite_of_the_policy(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    folder = app(trigger(decorators=RETRY.format(count=-1)))
    await database.write("d0")
    async with hosting(folder, lose_batches={"work": 1}):
        await drained(folder)
        assert recorder.all == []
        await database.write("d1")
        await drained(folder)
    assert recorder.ids() == ["d1"]


async def test_an_exception_in_one_trigger_does_not_stop_another(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    async def fail_work(seen: Seen) -> None:
        if seen.function == "work":
            raise ValueError("always")

    recorder.behave = fail_work
    folder = app(
        trigger(decorators=RETRY.format(count=-1)),
        trigger("other", options='lease_container_prefix="other-"'),
    )
    await database.write(*IDS)
    async with hosting(folder):
        await recorder.until(lambda: len(recorder.ids("other")) == len(IDS))
    assert recorder.ids("work") == []


async def test_a_stop_lets_the_batch_in_flight_end_and_saves_it(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    leave = asyncio.Event()

    async def wait(seen: Seen) -> None:
        await leave.wait()

    recorder.behave = wait
    folder = app(trigger())
    await database.write("d0")
    async with hosting(folder) as host:
        await recorder.until(lambda: len(recorder.all) == 1)
        stopping = asyncio.create_task(host.stop())
        await asyncio.sleep(0)
        leave.set()
        await stopping
    [lag] = await measure_lag(folder)
    assert lag.drained
    assert recorder.ids() == ["d0"]


async def test_a_stop_during_a_retry_pause_saves_nothing(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    async def fail(seen: Seen) -> None:
        raise ValueError("not now")

    recorder.behave = fail
    forever = RETRY.format(count=-1).replace("00:00:00", "01:00:00")
    folder = app(trigger(decorators=forever))
    await database.write("d0")
    async with asyncio.timeout(10), hosting(folder):
        await recorder.until(lambda: len(recorder.all) == 1)
    [lag] = await measure_lag(folder)
    assert not lag.drained
    assert set(await database.owners()) == {None}
    again = recorder.__class__()
    recorder.behave = again.behave
    async with hosting(folder):
        await drained(folder)
    assert recorder.ids() == ["d0"]


async def test_what_outlasts_the_drain_is_cancelled_and_comes_again(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    async def hang(seen: Seen) -> None:
        await asyncio.Event().wait()

    succeed = recorder.behave
    recorder.behave = hang
    folder = app(trigger())
    await database.write("d0")
    async with hosting(folder, drain_seconds=0.05):
        await recorder.until(lambda: len(recorder.all) == 1)
    recorder.behave = succeed
    async with hosting(folder):
        await drained(folder)
    assert [seen.ids for seen in recorder.all] == [("d0",), ("d0",)]


async def test_a_trigger_may_start_from_a_time(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    since = 'start_from_time="2020-01-01T00:00:00Z"'
    folder = app(trigger().replace("start_from_beginning=True", since))
    await database.write(*IDS)
    async with hosting(folder):
        await drained(folder)
    assert sorted(recorder.ids()) == sorted(IDS)


async def test_a_trigger_that_starts_now_saves_where_that_was(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    folder = app(trigger().replace("start_from_beginning=True", "start_from_beginning=False"))
    async with hosting(folder):
        await drained(folder)
        leases = await database.lease_documents()
    assert None not in {lease["ContinuationToken"] for lease in leases}
    await database.write("between")
    async with hosting(folder):
        await drained(folder)
    assert recorder.ids() == ["between"]


async def test_lag_tells_what_waits_and_that_no_host_has_started(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    folder = app(trigger())
    [lag] = await measure_lag(folder)
    assert not lag.drained
    assert lag.leases == ()
    assert len(lag.uncovered) > 1
    async with hosting(folder):
        await drained(folder)
    await database.write(*IDS)
    [lag] = await measure_lag(folder)
    assert (lag.function, lag.container, lag.drained, lag.uncovered) == ("work", "items", False, ())
    assert lag.pending >= len(IDS)  # sequence numbers have gaps where documents changed twice


async def test_the_lease_container_is_created_where_the_trigger_asks_for_it(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    options = "create_lease_container_if_not_exists=True"
    folder = app(trigger(options=options).replace('"leases"', '"fresh-leases"'))
    await database.write("d0")
    async with hosting(folder):
        await drained(folder)
    assert recorder.ids() == ["d0"]
    assert (await database.proxy.get_container_client("fresh-leases").read())["id"] == "fresh-leases"


async def test_renewal_keeps_a_lease_through_an_invocation_longer_than_its_expiration(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    leave = asyncio.Event()

    async def wait(seen: Seen) -> None:
        await leave.wait()

    recorder.behave = wait
    folder = app(trigger())
    async with hosting(folder, "one") as one, hosting(folder, "two") as two:
        await balanced(database, one, two)
        before = {lease["id"]: lease["ContinuationToken"] for lease in await database.lease_documents()}
        await database.write("d0")
        await recorder.until(lambda: len(recorder.all) == 1)
        began = utc_now()

        async def all_renewed() -> bool:
            leases = [Lease.from_document(item) for item in await database.lease_documents()]
            return all((lease.timestamp - began).total_seconds() > EXPIRATION for lease in leases)

        await until(all_renewed)
        after = {lease["id"]: lease["ContinuationToken"] for lease in await database.lease_documents()}
        assert after == before  # renewed, not advanced
        leave.set()
        await drained(folder)
    assert recorder.ids() == ["d0"]
    assert len(recorder.all) == 1


async def test_an_unreliable_database_delays_the_feed_and_loses_nothing(
    database: Database, recorder: Recorder, app: AppWriter, server: ServerProcess
) -> None:
    folder = app(trigger())
    rules = [
        {"container": container, **fault}
        for container in ("items", "leases")
        for fault in (
            {"rate": 0.1, "drop": "before"},
            {"rate": 0.1, "drop": "after"},
            {"rate": 0.1, "status": 503},
            {"rate": 0.1, "status": 429, "retry_after_ms": 5},
        )
    ]
    async with hosting(folder, "one") as one, hosting(folder, "two") as two:
        await balanced(database, one, two)
        await database.write(*IDS)
        try:
            server.local("PUT", "faults", {"rules": rules, "seed": 7})
            await recorder.until(lambda: set(recorder.ids()) == set(IDS))
            assert server.local("GET", "faults")["struck"] > 0
        finally:
            server.local("DELETE", "faults")
        await drained(folder)
        await balanced(database, one, two)
        await database.write("afterwards")
        await drained(folder)
    assert recorder.ids().count("afterwards") == 1


@pytest.mark.parametrize("pause", [0, 0.3], ids=["at once", "read meanwhile"])
async def test_a_container_that_was_created_again_is_read_from_its_beginning(
    database: Database, recorder: Recorder, app: AppWriter, pause: float
) -> None:
    folder = app(trigger())
    await database.write(*(f"old{number}" for number in range(20)))
    async with hosting(folder), hosting(folder, "two"):
        await drained(folder)
        delivered = Counter(recorder.ids())
        await _create_again(database, "items", pause)
        new = [f"new{number}" for number in range(8)]
        await database.write(*new)
        await until(lambda: _delivered(recorder, delivered + Counter(new)))
        delivered = Counter(recorder.ids())
        await _create_again(database, "leases", pause)
        await database.write("last")
        await until(lambda: _delivered(recorder, delivered + Counter([*new, "last"])))
        await drained(folder)


async def _create_again(database: Database, container: str, pause: float) -> None:
    await database.proxy.delete_container(container)
    await asyncio.sleep(pause)
    await database.proxy.create_container(container, PartitionKey("/id"))


async def _delivered(recorder: Recorder, at_least: Counter[str]) -> bool:
    return Counter(recorder.ids()) >= at_least
