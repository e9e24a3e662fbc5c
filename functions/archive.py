"""The daily archive: a timer starts an orchestration, which goes over all feed ranges, page by page."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from functions.orchestrations import start_once
from functions.runtime import fleet
from shared.archive.archiver import ContainerReport, Task
from shared.cosmos.deadlines import deadline
from shared.cosmos.retries import INVOCATION_SECONDS
from shared.fleet.archive import connected_archive
from shared.rights import Identity

blueprint = df.Blueprint()

INSTANCE = "archive"
PAUSE_MS, ATTEMPTS = 60_000, 10
"""Pause after a page that failed, and how often it is tried: the storage may be away for minutes. What fails
even so is due the next day."""


@blueprint.function_name("archive_daily")
@blueprint.timer_trigger(arg_name="timer", schedule="0 0 2 * * *", run_on_startup=False, use_monitor=True)
@blueprint.durable_client_input(client_name="client")
async def archive_daily(timer: func.TimerRequest, client: df.DurableOrchestrationClient) -> None:
    """Start the archive of today, unless that of an earlier day is still at work."""
    await start_once(client, "archive_documents", INSTANCE)


@blueprint.function_name("archive_documents")
@blueprint.orchestration_trigger(context_name="context")
def archive_documents(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Archive every feed range concurrently, then record what was done. Fails if any range failed."""
    retries = df.RetryOptions(PAUSE_MS, ATTEMPTS)
    tasks = yield context.call_activity_with_retry("archive_plan", retries, context.get_input() or {})
    done = yield context.task_all(
        [context.call_sub_orchestrator("archive_range", {"task": task, "report": None}) for task in tasks]
    )
    reports = _by_container(done)
    yield context.task_all(
        [context.call_activity_with_retry("archive_finish", retries, report) for report in reports]
    )
    failed = sum(report["failed"] for report in reports)
    if failed:
        raise RuntimeError(f"{failed} of {len(tasks)} feed ranges were not archived to their end")
    return reports


@blueprint.function_name("archive_range")
@blueprint.orchestration_trigger(context_name="context")
def archive_range(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Archive a feed range. Each page is a new execution, so that the history stays short."""
    state = context.get_input()
    task, report = state["task"], state["report"] or _nothing(state["task"])
    try:
        page = yield context.call_activity_with_retry(
            "archive_page", df.RetryOptions(PAUSE_MS, ATTEMPTS), task
        )
    except Exception:  # noqa: BLE001  whatever it was, it was logged where it happened
        return {**report, "failed": 1}
    report = _sum(report, page)
    if page["is_last"]:
        return report
    context.continue_as_new({"task": {**task, "after": page["after"]}, "report": report})
    return None


@blueprint.function_name("archive_plan")
@blueprint.activity_trigger(input_name="order")
@deadline(INVOCATION_SECONDS)
async def archive_plan(order: dict) -> list[dict[str, Any]]:  # type: ignore[type-arg]
    """Return the feed ranges to archive. The order may name a container, and an age in days."""
    async with connected_archive(await fleet(Identity.LIFECYCLE)) as archive:
        tasks = await archive.archiver.plan(
            order.get("container"), older_than_days=order.get("older_than_days")
        )
    return [task._asdict() for task in tasks]


@blueprint.function_name("archive_page")
@blueprint.activity_trigger(input_name="task")
@deadline(INVOCATION_SECONDS)
async def archive_page(task: dict) -> dict[str, Any]:  # type: ignore[type-arg]  # the worker reads it
    """Archive one page of a feed range; return numbers only."""
    async with connected_archive(await fleet(Identity.LIFECYCLE)) as archive:
        page = await archive.archiver.archive_page(Task(**task))
    return asdict(page)


@blueprint.function_name("archive_finish")
@blueprint.activity_trigger(input_name="report")
@deadline(INVOCATION_SECONDS)
async def archive_finish(report: dict) -> None:  # type: ignore[type-arg]
    """Record that a run over a container has ended."""
    async with connected_archive(await fleet(Identity.LIFECYCLE)) as archive:
        await archive.archiver.finish(ContainerReport.decode(report), report["run"])


def _nothing(task: dict[str, Any]) -> dict[str, Any]:
    return {"container": task["container"], "run": task["run"], "ranges": 1, "failed": 0}


def _by_container(ranges: list[dict[str, Any]]) -> list[dict[str, Any]]:
    united: dict[str, dict[str, Any]] = {}
    for report in ranges:
        known = united.get(report["container"])
        united[report["container"]] = report if known is None else _sum(known, report)
    return list(united.values())


def _sum(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Add the numbers of two reports, also those inside of them."""
    united = dict(one)
    for name, value in other.items():
        if isinstance(value, dict):
            united[name] = _sum(united.get(name, {}), value)
        elif isinstance(value, int | float) and not isinstance(value, bool) and name != "after":
            united[name] = united.get(name, 0) + value
    return united
