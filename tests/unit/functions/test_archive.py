"""The daily archive as an orchestration: every range to its end, one run at a time, failures told."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import azure.durable_functions as df
import pytest

from functions import archive
from shared.archive.archiver import ContainerReport
from tests.durable_replay import replay
from tests.unit.functions.test_schema import Client

STATUS = df.OrchestrationRuntimeStatus


def task(container: str, low: str) -> dict[str, Any]:
    return {"container": container, "low": low, "run": "r", "after": -1}


TASKS = [task("user_interactions", ""), task("user_interactions", "80"), task("user_sessions", "")]


def page(archived: int, *, is_last: bool = False, after: int = 7) -> dict[str, Any]:
    outcome = {"archived": archived, "known": 1}
    return {"container": "c", "after": after, "is_last": is_last, "expiring": 2, "outcome": outcome}


@pytest.mark.parametrize(
    ("status", "starts"),
    [(None, True), (STATUS.Failed, True), (STATUS.Running, False), (STATUS.Suspended, False)],
)
async def test_one_run_is_at_work(status: Any, starts: bool) -> None:
    client = Client(status)
    await archive.archive_daily._function._func.client_function(SimpleNamespace(), client)
    assert client.started == ([("archive_documents", "archive", None)] if starts else [])


def test_every_range_is_archived_and_reported_by_container() -> None:
    finished: list[Any] = []
    ranges = iter([5, 6, 7])

    def of_range(state: dict[str, Any]) -> dict[str, Any]:
        assert state["report"] is None
        of = {"container": state["task"]["container"], "run": "r", "ranges": 1, "failed": 0}
        return of | {"outcome": {"archived": next(ranges)}}

    run = replay(
        archive.archive_documents,
        activities={"archive_plan": lambda _: TASKS, "archive_finish": finished.append},
        sub_orchestrations={"archive_range": of_range},
        shuffle=random.Random(3),
    )
    assert run.status == "Completed"
    by_container = {each["container"]: each for each in finished}
    assert {name: (each["ranges"], each["run"]) for name, each in by_container.items()} == {
        "user_interactions": (2, "r"),
        "user_sessions": (1, "r"),
    }
    assert sum(each["outcome"]["archived"] for each in finished) == 18
    assert ContainerReport.decode(by_container["user_sessions"]).ranges == 1


def test_a_range_is_archived_page_by_page_also_after_failures() -> None:
    pages = iter([page(3), OSError("the storage is away"), page(4, after=9), page(0, is_last=True)])
    asked: list[int] = []

    def do(of: dict[str, Any]) -> dict[str, Any]:
        asked.append(of["after"])
        answer = next(pages)
        if isinstance(answer, Exception):
            raise answer
        return answer

    state = {"task": TASKS[0], "report": None}
    run = replay(archive.archive_range, state, activities={"archive_page": do})
    assert asked == [-1, 7, 7, 9]
    assert run.output == {
        "container": "user_interactions", "run": "r", "ranges": 1, "failed": 0, "expiring": 6,
        "outcome": {"archived": 7, "known": 3},
    }  # fmt: skip
    assert run.executions == 3


def test_a_range_that_fails_to_the_end_is_told_and_the_others_are_recorded() -> None:
    def fail(_: Any) -> Any:
        raise OSError("the storage is away")

    state = {"task": TASKS[0], "report": None}
    failed = replay(archive.archive_range, state, activities={"archive_page": fail}).output
    assert failed["failed"] == 1
    finished: list[Any] = []
    run = replay(
        archive.archive_documents,
        activities={"archive_plan": lambda _: TASKS[:1], "archive_finish": finished.append},
        sub_orchestrations={"archive_range": lambda _: failed},
    )
    assert run.status == "Failed"
    assert "1 of 1 feed ranges" in run.output
    assert len(finished) == 1
