"""The one :class:`~shared.fleet.Fleet` of this process, created when the first trigger needs it."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

from shared.fleet import Fleet, connected_fleet
from shared.settings import current_settings

_opening: dict[asyncio.AbstractEventLoop, asyncio.Task[Fleet]] = {}
_lifetimes: dict[asyncio.AbstractEventLoop, AbstractAsyncContextManager[Fleet]] = {}


async def fleet() -> Fleet:
    """Return the fleet of the running event loop. The first call connects it.

    A failed connection is not cached: the next call tries again.

    Raises
    ------
    SettingsError
        The settings do not name an account, or contradict the stored state. The invocation fails and the
        platform retries it, so nothing is lost until the settings are correct.
    """
    loop = asyncio.get_running_loop()
    opening = _opening.get(loop)
    if opening is None or (opening.done() and (opening.cancelled() or opening.exception())):
        opening = _opening[loop] = loop.create_task(_open(loop))
    return await asyncio.shield(opening)


async def _open(loop: asyncio.AbstractEventLoop) -> Fleet:
    # Functions have no hook for the end of the process. An event loop that is shut down closes its
    # asynchronous generators: that of ``connected_fleet``, which closes the connections. It must be the only
    # one, since the loop closes all of them concurrently.
    lifetime = connected_fleet(current_settings())
    fleet = await lifetime.__aenter__()
    _lifetimes[loop] = lifetime
    return fleet
