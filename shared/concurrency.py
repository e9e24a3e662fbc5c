"""Do several things at once, a bounded number at a time, and finish all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in order, in lists of at most ``size``."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


async def finish_all(*work: Awaitable[Result]) -> list[Result]:
    """Await all of it, then return the results in order, or raise the first error.

    Unlike a bare ``gather``, nothing is still running when an error leaves: what could be done, is done.
    """
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    results: list[Result] = []
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        results.append(outcome)
    return results


async def for_each(
    items: Iterable[Item], do: Callable[[Item], Awaitable[Result]], *, at_once: int
) -> list[Result]:
    """Do something for each item, at most ``at_once`` at a time; finish all as :func:`finish_all` does."""
    slots = asyncio.Semaphore(at_once)

    async def one(item: Item) -> Result:
        async with slots:
            return await do(item)

    return await finish_all(*(one(item) for item in items))
