"""One fleet per event loop, connected when it is first needed, closed with the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError
from structlog.testing import capture_logs

from functions import runtime
from shared.errors import FleetError, NotReadyError, SettingsError
from tests.virtual_time import run


class Connections:
    """Stands for a fleet; counts what is opened, closed and checked; fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.opened = self.closed = self.checks = self.ready_checks = 0
        self.failures = failures
        self.refusal: Exception | None = None
        """What the check of the state raises."""
        self.not_ready: Exception | None = None
        """What the check of readiness raises."""

    @property
    def mark(self) -> Connections:
        return self

    async def check(self) -> None:
        self.checks += 1
        await asyncio.sleep(1)
        if self.refusal is not None:
            raise self.refusal

    async def check_ready(self) -> None:
        self.ready_checks += 1
        if self.not_ready is not None:
            raise self.not_ready

    @asynccontextmanager
    async def connect(self, _settings: Any) -> AsyncIterator[object]:
        if self.failures:
            self.failures -= 1
            raise SettingsError("not yet")
        self.opened += 1
        try:
            yield self
        finally:
            await asyncio.sleep(0)
            self.closed += 1


def connections(monkeypatch: pytest.MonkeyPatch, failures: int = 0) -> Connections:
    made = Connections(failures)
    monkeypatch.setattr(runtime, "connected_fleet", made.connect)
    monkeypatch.setattr(runtime, "current_settings", lambda: None)
    monkeypatch.setattr(runtime, "_runtimes", {})
    return made


def test_the_end_of_the_event_loop_closes_the_connections_without_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, problems = connections(monkeypatch), list[dict[str, Any]]()

    async def work() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: problems.append(context))
        first, second = await asyncio.gather(runtime.fleet(), runtime.fleet())
        assert first is second
        assert await runtime.fleet() is first

    asyncio.run(work())
    assert (made.opened, made.closed) == (1, 1)
    assert problems == []


def test_a_failed_connection_is_tried_again_by_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    made = connections(monkeypatch, failures=1)

    async def work() -> None:
        with pytest.raises(SettingsError):
            await runtime.fleet()
        await runtime.fleet()

    asyncio.run(work())
    assert (made.opened, made.closed) == (1, 1)


async def refused() -> str:
    """Return why there is no fleet, an empty string if there is one."""
    try:
        await runtime.fleet()
    except FleetError as error:
        return str(error)
    return ""


def test_the_state_is_checked_once_a_minute_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    made = connections(monkeypatch)

    async def work() -> None:
        await asyncio.gather(*(runtime.fleet() for _ in range(5)))
        await asyncio.sleep(runtime.STATE_CHECK_SECONDS - 2)
        await runtime.fleet()
        assert made.checks == 1
        await asyncio.sleep(2)
        await asyncio.gather(*(runtime.fleet() for _ in range(5)))
        assert made.checks == 2

    run(work())


def test_a_deleted_state_stops_every_invocation_until_it_is_right_and_is_logged_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = connections(monkeypatch)

    async def work() -> list[Any]:
        with capture_logs() as logs:
            assert await refused() == ""
            made.refusal = SettingsError("Set FLEET_GENERATION to 2.")
            await asyncio.sleep(runtime.STATE_CHECK_SECONDS)
            # Every one is refused, also those that ask while another one checks.
            assert set(await asyncio.gather(*(refused() for _ in range(5)))) == {str(made.refusal)}
            assert await refused() == str(made.refusal)
            made.refusal = None
            assert await refused() == ""
        return logs

    logs = run(work())
    assert [(entry["log_level"], entry["event"], entry.get("reason")) for entry in logs] == [
        ("error", "fleet_refuses_work", "Set FLEET_GENERATION to 2."),
        ("warning", "fleet_works_again", None),
    ]


def test_a_fleet_that_cannot_connect_for_a_reason_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    made = connections(monkeypatch)
    made.refusal = CosmosHttpResponseError(status_code=404, message="of account secret")

    async def work() -> str:
        return await refused()

    with capture_logs() as logs:
        assert "fleet containers apply" in run(work())
    assert "secret" not in str(logs)


def test_readiness_is_looked_up_now_and_then_and_soon_again_after_a_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = connections(monkeypatch)

    async def work() -> None:
        for _ in range(3):
            await runtime.check_ready()
        assert made.ready_checks == 1
        await asyncio.sleep(runtime.READY_SECONDS)
        made.refusal = SettingsError("not now")
        await asyncio.sleep(runtime.STATE_CHECK_SECONDS)
        for _ in range(3):
            with pytest.raises(SettingsError):
                await runtime.check_ready()
        assert made.checks == 2
        made.refusal = None
        await asyncio.sleep(runtime.NOT_READY_SECONDS)
        await runtime.check_ready()

    run(work())


def test_what_only_the_check_of_readiness_finds_is_logged_once_and_stops_no_invocation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = connections(monkeypatch)
    made.not_ready = NotReadyError("Create them with `fleet containers apply`.")

    async def work() -> list[Any]:
        with capture_logs() as logs:
            for _ in range(3):
                with pytest.raises(NotReadyError):
                    await runtime.check_ready()
                assert await refused() == ""
                await asyncio.sleep(runtime.NOT_READY_SECONDS)
            made.not_ready = None
            await runtime.check_ready()
        return logs

    logs = run(work())
    assert [(entry["event"], entry["check"]) for entry in logs] == [
        ("fleet_refuses_work", "readiness"),
        ("fleet_works_again", "readiness"),
    ]
