"""How a host keeps what it has claimed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from local.host.durable.dispatcher import Dispatcher
from local.host.durable.store import ActivityClaim
from local.host.invoke import Outcome

PATIENCE = 3.0
LEASE = 0.03


class Store:
    """Gives one activity at each request, and notes what is renewed."""

    def __init__(self, names: Iterable[str], *, failures: int = 0) -> None:
        self._claims = [
            ActivityClaim(row, "instance", row, name, "null", 1, token=name) for row, name in enumerate(names)
        ]
        self._failures = failures
        self._renewed = {name: threading.Event() for name in names}

    def is_renewed(self, token: str) -> bool:
        """Wait until a token is renewed, without a turn for the event loop; say whether it was."""
        return self._renewed[token].wait(PATIENCE)

    def claim_activities(self, _: int) -> list[ActivityClaim]:
        return [self._claims.pop(0)] if self._claims else []

    def renew(self, tokens: Collection[str]) -> None:
        if self._failures:
            self._failures -= 1
            raise RuntimeError("a defect")
        for token in tokens:
            self._renewed[token].set()

    def nothing(self, *_: Any) -> None:
        return None

    take_back = claim_orchestration = fire_timers = complete_activity = release = nothing


class Invoker:
    """Blocks the event loop until a token is renewed."""

    def __init__(self, store: Store, token: str) -> None:
        self._store = store
        self._token = token
        self.renewed: list[bool] = []

    async def invoke(self, *_: Any, **__: Any) -> Outcome:
        self.renewed.append(self._store.is_renewed(self._token))
        return Outcome(value="null")


@asynccontextmanager
async def dispatching(store: Any, invoker: Any) -> AsyncIterator[Dispatcher]:
    nothing: Any = type("Nothing", (), {"purge_by": lambda *_: 0, "close": lambda _: None})()
    dispatcher = Dispatcher(
        nothing, store, nothing, [], invoker,
        lease_seconds=LEASE, max_orchestrations=1, max_activities=2, retention=timedelta(days=1),
    )  # fmt: skip
    spec: Any = object()
    dispatcher.activities["a"] = dispatcher.activities["b"] = spec
    running = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        dispatcher.stop()
        await asyncio.wait({running})
        dispatcher.close()


async def until_ended(invoker: Invoker, number: int) -> None:
    async with asyncio.timeout(number * PATIENCE + 1):
        while len(invoker.renewed) < number:  # noqa: ASYNC110  it does not tell
            await asyncio.sleep(0.01)


async def test_what_is_claimed_while_another_function_blocks_the_event_loop_is_renewed() -> None:
    store = Store("ab")
    invoker = Invoker(store, "b")
    async with dispatching(store, invoker):
        await until_ended(invoker, 1)
    assert invoker.renewed[0]


async def test_a_defect_in_a_renewal_does_not_end_the_renewals() -> None:
    store = Store("a", failures=2)
    invoker = Invoker(store, "a")
    async with dispatching(store, invoker):
        await until_ended(invoker, 1)
    assert invoker.renewed == [True]


async def test_no_renewal_outlives_a_host_whose_function_does_not_end() -> None:
    class Deaf(Invoker):
        async def invoke(self, *_: Any, **__: Any) -> Outcome:
            self.renewed.append(True)
            while not ended.is_set():
                with suppress(asyncio.CancelledError):
                    await ended.wait()
            return Outcome(value="null")

    ended, store = asyncio.Event(), Store("a")
    invoker = Deaf(store, "a")
    async with dispatching(store, invoker) as dispatcher:
        await until_ended(invoker, 1)
        dispatcher.close()
        alive = {thread.name for thread in threading.enumerate()}
        ended.set()
    assert "durable-leases" not in alive
