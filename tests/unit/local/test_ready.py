"""What a stack tells of hosts that cannot work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from local import ready
from local.ready import watch_ready


@asynccontextmanager
async def host(answers: list[tuple[int, Any]]) -> AsyncIterator[int]:
    """Serve ``/api/ready`` with answers by turns, the last one for good; return the port."""

    async def answer(_: web.Request) -> web.Response:
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_get("/api/ready", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_a_host_that_refuses_and_works_again_is_told_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "ASK_EVERY", 0.01)
    works, refuses = (200, {"status": "ready"}), (503, {"error": "Set FLEET_GENERATION to 2."})
    told: list[str] = []
    enough = asyncio.Event()

    def tell(sentence: str) -> None:
        told.append(sentence)
        if len(told) == 3:
            enough.set()

    async with host([works, refuses, refuses, works, works, refuses]) as port:
        watching = asyncio.create_task(watch_ready([{"instance": "host-1", "http_port": port}], tell))
        await asyncio.wait_for(enough.wait(), 10)
        watching.cancel()
    assert told == [
        "host-1 does not work: Set FLEET_GENERATION to 2.",
        "host-1 works",
        "host-1 does not work: Set FLEET_GENERATION to 2.",
    ]


async def test_a_host_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = asyncio.Queue[str]()
    async with host([(200, {})]) as port:
        pass
    watching = asyncio.create_task(watch_ready([{"instance": "host-1", "http_port": port}], told.put_nowait))
    sentence = await asyncio.wait_for(told.get(), 10)
    watching.cancel()
    assert sentence == "host-1 does not say whether it works (ClientConnectorError)"
