"""Settling: drain, publish what waits for a timer, drain again; and what is said when one of them fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from azure.core.exceptions import ServiceRequestError

from local import settle as module
from local.connection import Connection
from local.drain import DrainResult, print_lag
from local.settle import settle
from shared.errors import SettingsError

CONNECTION = Connection({}, "a test")

Script = Callable[..., list[str]]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Return a function that scripts the waits and the publication, and returns the list of what was done."""

    def prepare(
        *drained: bool,
        publish: Callable[[], Awaitable[None]] | None = None,
        refusal: Exception | None = None,
    ) -> list[str]:
        done: list[str] = []
        waits = iter(drained)

        async def drain(connection: Connection, *, timeout: float) -> DrainResult:
            done.append("drain")
            return DrainResult(next(waits), (), 0.5)

        async def published(connection: Connection) -> None:
            done.append("publish")
            if publish is not None:
                await publish()

        async def check(connection: Connection) -> None:
            if refusal is not None:
                raise refusal

        monkeypatch.setattr(module, "check_settings", check)
        monkeypatch.setattr(module, "drain_feeds", drain)
        monkeypatch.setattr(module, "publish_due", published)
        return done

    return prepare


async def test_what_waits_for_a_timer_is_published_between_two_waits(script: Script) -> None:
    done = script(True, True)
    assert (await settle(CONNECTION, timeout=60)).drained
    assert done == ["drain", "publish", "drain"]


async def test_hosts_that_refuse_all_work_are_not_waited_for(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    done = script(refusal=SettingsError("Set FLEET_GENERATION to 2."))
    settled = await settle(CONNECTION, timeout=60)
    assert (settled.drained, settled.error, done) == (False, "Set FLEET_GENERATION to 2.", [])
    print_lag(settled, as_json=False)
    assert capsys.readouterr().out.strip() == "Nothing was waited for: Set FLEET_GENERATION to 2."


async def test_nothing_is_published_before_everything_is_counted(script: Script) -> None:
    done = script(False)
    assert not (await settle(CONNECTION, timeout=60)).drained
    assert done == ["drain"]


async def test_a_feed_that_the_publication_fills_is_waited_for(script: Script) -> None:
    script(True, False)
    assert not (await settle(CONNECTION, timeout=60)).drained


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (ServiceRequestError("connection refused"), "connection refused"),
        (SettingsError("The setting FLEET_SHARDS is 64, but …"), "FLEET_SHARDS is 64"),
    ],
)
async def test_a_publication_that_fails_is_named(script: Script, failure: Exception, words: str) -> None:
    async def fail() -> None:
        raise failure

    done = script(True, publish=fail)
    settled = await settle(CONNECTION, timeout=60)
    assert not settled.drained
    assert words in (settled.error or "")
    assert done == ["drain", "publish"]


async def test_a_publication_that_takes_too_long_is_ended(script: Script) -> None:
    ended: list[bool] = []

    async def endless() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    script(True, publish=endless)
    settled = await settle(CONNECTION, timeout=0.05)
    assert (settled.drained, ended) == (False, [True])
    assert "not published in time" in (settled.error or "")
