"""Notice asyncio tasks that outlive the invocation that started them, and name their function."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import Any
from weakref import WeakSet

from local.host.logs import function_log

MANY = 10
"""Tasks of one function that are left at the same time and reported as a leak. A connection that is opened
by the first invocation and shared keeps a few for good."""

Task = asyncio.Task[Any]
TaskFactory = Callable[..., Any]
Work = Coroutine[Any, Any, Any] | Generator[Any, None, Any]

_started: ContextVar[WeakSet[Task] | None] = ContextVar("tasks_of_invocation", default=None)


def _report(level: str, event: str, fields: Mapping[str, Any]) -> None:
    getattr(function_log, level)(event, **fields)


class Leftovers:
    """Knows the tasks that each function has left behind."""

    def __init__(self, *, report: Callable[[str, str, Mapping[str, Any]], None] = _report) -> None:
        self._report = report
        self._left: dict[str, WeakSet[Task]] = {}
        self._known: set[tuple[str, str]] = set()
        self._next: dict[str, int] = {}

    @contextmanager
    def watched(self, function: str) -> Iterator[None]:
        """Hold the tasks that are started within the block, by whatever it calls, to end with it."""
        tasks: WeakSet[Task] = WeakSet()
        token = _started.set(tasks)
        try:
            yield
        finally:
            _started.reset(token)
            pending = [task for task in tasks if not task.done()]
            if pending:
                self._note(function, pending)

    def _note(self, function: str, pending: list[Task]) -> None:
        left = self._left.setdefault(function, WeakSet())
        left.update(pending)
        count = sum(not task.done() for task in left)
        names = sorted({_name(task) for task in pending})
        fields = {"function": function, "tasks": count, "coroutines": names[:5]}
        if count >= self._next.get(function, MANY):
            self._next[function] = 2 * count
            self._report("warning", "tasks_left_behind", fields)
            return
        new = [name for name in names if (function, name) not in self._known]
        if new:
            self._known.update((function, name) for name in new)
            self._report("info", "tasks_left_behind", fields)


def _name(task: Task) -> str:
    return str(getattr(task.get_coro(), "__qualname__", task.get_name()))


@contextmanager
def noting_tasks(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let the loop note which invocation started a task; several hosts may do so in one process."""
    before = loop.get_task_factory()
    loop.set_task_factory(_factory(before))
    try:
        yield
    finally:
        loop.set_task_factory(before)


def _factory(before: TaskFactory | None) -> Any:
    def make(loop: asyncio.AbstractEventLoop, work: Work, *, context: Context | None = None) -> Any:
        if before is not None:
            task = before(loop, work, context=context) if context is not None else before(loop, work)
        else:
            task = asyncio.Task(work, loop=loop, context=context)
        tasks = _started.get()
        if tasks is not None:
            tasks.add(task)
        return task

    return make
