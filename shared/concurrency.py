"""Run several awaitables concurrently, up to a limit, and finish all of them."""

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
    """Await all of the work, then return the results in order or raise the first error.

    Unlike with a bare ``gather``, no work is still running when an error is raised.
    """
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    results: list[Result] = []
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        results.append(outcome)
    return results


async def for_each(
    items: Iterable[Item], do: Callable[[Item], Awaitable[Result]], *, max_concurrency: int
) -> list[Result]:
    """Call ``do`` for each item, at most ``max_concurrency`` concurrently; return the results in order.

    All items are finished before the first error is raised.
    """
    slots = asyncio.Semaphore(max_concurrency)

    async def one(item: Item) -> Result:
        async with slots:
            return await do(item)

    tasks: list[asyncio.Task[Result]] = []
    for item in list(items):
        tasks.append(asyncio.create_task(one(item)))  # noqa: PERF401  a comprehension adds a stack frame
    return await finish_all(*tasks)
