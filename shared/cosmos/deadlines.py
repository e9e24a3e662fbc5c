"""The time that a piece of work has. No request to the database outlives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from math import inf

from shared.errors import DeadlineError

_ends: ContextVar[float] = ContextVar("ends", default=inf)
"""The end of the work in progress, on the event loop's clock."""


@asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """End the work inside the block, and the tasks that it awaits, after a number of seconds.

    A request that the database answers too late fails at the deadline as well. Work around the block may have
    less time left; then its deadline holds.

    Raises
    ------
    DeadlineError
        The time was up. A change of which the database was asked may be made or not.
    """
    now = asyncio.get_running_loop().time()
    ends = min(now + seconds, _ends.get())
    token = _ends.set(ends)
    try:
        async with asyncio.timeout_at(ends) as limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise DeadlineError(f"The work was not done within {ends - now:.3g} s.") from error
    finally:
        _ends.reset(token)


def seconds_left() -> float:
    """Return the seconds until the nearest deadline of the work in progress, infinite without one."""
    return _ends.get() - asyncio.get_running_loop().time()
