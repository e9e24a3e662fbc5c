"""One fleet per event loop, connected when it is first needed, closed with the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from functions import runtime
from shared.errors import SettingsError


class Connections:
    """Counts what is opened and closed; fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.opened = self.closed = 0
        self.failures = failures

    @asynccontextmanager
    async def connect(self, _settings: Any) -> AsyncIterator[object]:
        if self.failures:
            self.failures -= 1
            raise SettingsError("not yet")
        self.opened += 1
        try:
            yield object()
        finally:
            await asyncio.sleep(0)
            self.closed += 1


def connections(monkeypatch: pytest.MonkeyPatch, failures: int = 0) -> Connections:
    made = Connections(failures)
    monkeypatch.setattr(runtime, "connected_fleet", made.connect)
    monkeypatch.setattr(runtime, "current_settings", lambda: None)
    monkeypatch.setattr(runtime, "_opening", {})
    monkeypatch.setattr(runtime, "_lifetimes", {})
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
