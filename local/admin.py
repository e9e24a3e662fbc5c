"""Run a timer of a running host out of schedule, by the platform's admin call, and wait until it ends."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp

from local.processes import StackError
from local.stack import Stack

LOOK_EVERY = 0.2
"""Seconds between two looks into the host's log: the call answers before the timer has run."""


class TimerFailedError(StackError):
    """A timer that was run on request failed."""


async def run_timer(stack: Stack, timer: str, *, host: int = 0) -> float:
    """Run a timer to its end on one of the hosts; return its seconds.

    Raises
    ------
    StackError
        The host refuses.
    TimerFailedError
        The invocation failed.
    """
    chosen = stack.hosts[host]
    keys = json.loads((stack.config.data / "host" / "host-keys.json").read_text())
    log = stack.logs / f"{chosen['instance']}.log"
    begin = log.stat().st_size
    url = f"http://127.0.0.1:{chosen['http_port']}/admin/functions/{timer}"
    headers = {"x-functions-key": keys["masterKey"]}
    async with (
        aiohttp.ClientSession(headers=headers) as web,
        web.post(url, json={"input": ""}) as answer,
    ):
        if answer.status != 202:
            raise StackError(f"{url} answered {answer.status}")
    while (end := requested_end(log, begin, timer)) is None:  # noqa: ASYNC110  another process writes it
        await asyncio.sleep(LOOK_EVERY)
    if end["event"] != "invocation_succeeded":
        raise TimerFailedError(f"{timer} failed on {chosen['instance']}; {log} says why")
    return float(end["duration_ms"]) / 1000


def requested_end(log: Path, begin: int, timer: str) -> dict[str, Any] | None:
    """Return the line that tells, behind a position of a host's log, how a requested run of a timer ended."""
    with log.open("rb") as lines:
        lines.seek(begin)
        for line in lines:
            if not line.startswith(b"{") or not line.endswith(b"\n"):
                continue
            entry: dict[str, Any] = json.loads(line)
            ended = entry.get("event") in ("invocation_succeeded", "invocation_failed")
            if ended and entry.get("requested") and entry.get("function") == timer:
                return entry
    return None
