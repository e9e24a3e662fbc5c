"""The one :class:`~shared.fleet.Fleet` of this process, made when the first trigger needs it."""

from __future__ import annotations

import asyncio

from shared.fleet import Fleet
from shared.settings import current_settings

_fleets: dict[asyncio.AbstractEventLoop, asyncio.Task[Fleet]] = {}


async def fleet() -> Fleet:
    """Return the fleet of the running event loop; connect first if nobody has.

    A connection that fails is not kept: the next call tries again.

    Raises
    ------
    SettingsError
        The settings do not name an account.
    """
    loop = asyncio.get_running_loop()
    opening = _fleets.get(loop)
    if opening is None or (opening.done() and (opening.cancelled() or opening.exception())):
        opening = _fleets[loop] = loop.create_task(_open())
    return await asyncio.shield(opening)


async def _open() -> Fleet:
    return await Fleet(current_settings()).__aenter__()


async def close_fleet() -> None:
    """Close the fleet of the running event loop, if there is one."""
    opening = _fleets.pop(asyncio.get_running_loop(), None)
    if opening is not None:
        await (await opening).close()
