"""Tasks that outlive their invocation are named with their function; those that end are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from local.host.leftovers import MANY, Leftovers, noting_tasks


class Reports:
    """Collects what would be logged."""

    def __init__(self) -> None:
        self.all: list[tuple[str, Mapping[str, Any]]] = []
        self.leftovers = Leftovers(report=lambda level, event, fields: self.all.append((level, fields)))

    @property
    def levels(self) -> list[str]:
        return [level for level, _ in self.all]


@pytest.fixture
async def reports() -> AsyncIterator[Reports]:
    with noting_tasks(asyncio.get_running_loop()):
        yield Reports()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


async def never_ends() -> None:
    await asyncio.Event().wait()


async def ends() -> None:
    await asyncio.sleep(0)


async def test_a_tidy_invocation_is_not_mentioned(reports: Reports) -> None:
    for _ in range(5 * MANY):
        with reports.leftovers.watched("tidy"):
            await asyncio.gather(ends(), ends())
    assert reports.all == []


async def test_a_task_that_stays_is_mentioned_once_and_many_are_a_warning(reports: Reports) -> None:
    kept = []
    for _ in range(2 * MANY):
        with reports.leftovers.watched("leaky"):
            kept.append(asyncio.create_task(never_ends()))
            await ends()
    assert reports.levels == ["info", "warning", "warning"]
    assert reports.all[0][1] == {"function": "leaky", "tasks": 1, "coroutines": ["never_ends"]}
    assert [fields["tasks"] for _, fields in reports.all[1:]] == [MANY, 2 * MANY]


async def test_a_shared_connection_that_stays_is_no_leak(reports: Reports) -> None:
    kept = []
    for number in range(5 * MANY):
        with reports.leftovers.watched("warm"):
            if number == 0:
                kept.append(asyncio.create_task(never_ends()))
            await ends()
    assert reports.levels == ["info"]


async def test_each_task_belongs_to_the_invocation_that_started_it(reports: Reports) -> None:
    inside, leave = asyncio.Event(), asyncio.Event()

    async def tidy() -> None:
        with reports.leftovers.watched("tidy"):
            inside.set()
            await leave.wait()

    async def leaky() -> asyncio.Task[None]:
        with reports.leftovers.watched("leaky"):
            return asyncio.create_task(never_ends())

    first = asyncio.create_task(tidy())
    await inside.wait()
    kept = await asyncio.create_task(leaky())
    leave.set()
    await first
    assert [fields["function"] for _, fields in reports.all] == ["leaky"]
    assert not kept.done()


async def test_the_loops_own_factory_is_used_and_comes_back() -> None:
    made: list[Any] = []

    def factory(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(work, loop=loop, **options)
        made.append(task)
        return task

    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    try:
        with noting_tasks(loop):
            task = asyncio.create_task(ends(), name="mine")
            await task
        assert task in made
        assert task.get_name() == "mine"
        assert loop.get_task_factory() is factory
    finally:
        loop.set_task_factory(None)
