"""Bounded concurrency: order of results, the limit, and no work left running after an error."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.concurrency import batched, finish_all, for_each


@given(st.lists(st.integers(), max_size=30), st.integers(1, 12))
def test_batches_hold_all_items_in_order_and_are_full_except_the_last(items: list[int], size: int) -> None:
    batches = list(batched(items, size))
    assert [item for batch in batches for item in batch] == items
    assert all(len(batch) == size for batch in batches[:-1])
    assert all(1 <= len(batch) <= size for batch in batches[-1:])


def test_a_batch_is_yielded_before_later_items_are_read() -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        for item in range(10):
            read.append(item)
            yield item

    assert next(batched(items(), 3)) == [0, 1, 2]
    assert read == [0, 1, 2]


async def after(turns: int, result: str | BaseException, done: list[str] | None = None) -> str:
    """Return or raise a result after some turns of the event loop; note it in ``done``."""
    for _ in range(turns):
        await asyncio.sleep(0)
    if done is not None:
        done.append(str(result))
    if isinstance(result, BaseException):
        raise result
    return result


async def test_results_come_in_the_order_of_the_arguments_whichever_is_done_first() -> None:
    done: list[str] = []
    assert await finish_all(after(9, "a", done), after(1, "b", done), after(4, "c", done)) == ["a", "b", "c"]
    assert done == ["b", "c", "a"]


async def test_all_work_runs_concurrently() -> None:
    met = asyncio.Barrier(3)
    async with asyncio.timeout(5):
        await finish_all(met.wait(), met.wait(), met.wait())


async def test_nothing_to_do_gives_no_results() -> None:
    assert await finish_all() == []


async def test_an_error_leaves_only_when_all_other_work_is_done() -> None:
    done: list[str] = []
    with pytest.raises(KeyError, match="early"):
        await finish_all(after(0, KeyError("early"), done), after(9, "late", done), after(5, "later", done))
    assert done == ["'early'", "later", "late"]


async def test_of_several_errors_the_first_argument_s_is_raised() -> None:
    with pytest.raises(KeyError, match="first"):
        await finish_all(after(0, "fine"), after(9, KeyError("first")), after(1, ValueError("second")))


async def test_a_base_exception_is_raised_too() -> None:
    class Killed(BaseException):
        pass

    with pytest.raises(Killed):
        await finish_all(after(1, Killed()), after(2, "fine"))


async def test_a_cancelled_caller_cancels_the_work() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    task = asyncio.create_task(finish_all(work()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled.is_set()


@pytest.mark.parametrize(("items", "limit", "peak"), [(10, 3, 3), (10, 1, 1), (4, 4, 4), (2, 16, 2)])
async def test_as_many_items_run_concurrently_as_the_limit_allows_and_no_more(
    items: int, limit: int, peak: int
) -> None:
    running, most = 0, 0

    async def work(item: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await after(1 + item % 3, "done")
        running -= 1
        return item * item

    assert await for_each(range(items), work, max_concurrency=limit) == [item * item for item in range(items)]
    assert most == peak
    assert running == 0


async def test_no_items_give_no_results() -> None:
    async def work(item: str) -> str:
        raise AssertionError(item)

    assert await for_each([], work, max_concurrency=3) == []


async def test_all_other_items_are_processed_when_one_fails() -> None:
    done: list[int] = []

    async def work(item: int) -> None:
        await after(1, "fine")
        if item in (0, 3):
            raise ValueError(f"item {item}")
        done.append(item)

    with pytest.raises(ValueError, match="item 0"):
        await for_each(range(6), work, max_concurrency=2)
    assert done == [1, 2, 4, 5]


async def test_a_waiting_item_starts_when_a_running_one_is_done() -> None:
    """A slow item occupies one slot; the others do not wait for it."""
    rest_done = asyncio.Event()
    done: list[int] = []

    async def work(item: int) -> None:
        if item == 0:
            await rest_done.wait()
        done.append(item)
        if len(done) == 5:
            rest_done.set()

    async with asyncio.timeout(5):
        await for_each(range(6), work, max_concurrency=2)
    assert done == [1, 2, 3, 4, 5, 0]


async def test_no_item_is_started_when_the_items_cannot_all_be_read() -> None:
    started: list[int] = []

    def items() -> Iterator[int]:
        yield from range(3)
        raise KeyError("unreadable")

    async def work(item: int) -> None:
        started.append(item)

    with pytest.raises(KeyError, match="unreadable"):
        await for_each(items(), work, max_concurrency=2)
    await after(5, "done")
    assert started == []
