"""Ask hosts whether they can do their work, and tell what changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import aiohttp

from local.ports import HOST

ASK_EVERY = 10.0
"""Seconds between two questions. A host keeps its answer for longer if it can work."""

LONGEST_ANSWER = 20.0
"""Seconds in which the function app has to answer."""

WORKS = "works"


async def watch_ready(hosts: Iterable[dict[str, Any]], tell: Callable[[str], None]) -> NoReturn:
    """Ask every host again and again; tell when one refuses to work, and when it works again.

    Parameters
    ----------
    hosts
        What the hosts reported: instance and http_port.
    """
    known = {host["instance"]: WORKS for host in hosts}
    ports = {host["instance"]: host["http_port"] for host in hosts}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LONGEST_ANSWER)) as session:
        while True:
            for instance, port in ports.items():
                answer = await ask(session, port)
                if answer != known[instance]:
                    known[instance] = answer
                    tell(f"{instance} {answer}")
            await asyncio.sleep(ASK_EVERY)


async def ask(session: aiohttp.ClientSession, port: int) -> str:
    """Return the rest of the sentence that begins with the name of the host."""
    try:
        async with session.get(f"http://{HOST}:{port}/api/ready") as response:
            if response.status == 200:
                return WORKS
            body = await response.json()
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return f"does not say whether it works ({type(error).__name__})"
    return f"does not work: {body.get('error', response.status)}"
