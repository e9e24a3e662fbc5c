"""Timers: the audit, repaired documents, price changes, and views that change with time."""

from __future__ import annotations

import azure.functions as func

from functions.runtime import fleet
from shared.cosmos.deadlines import deadline
from shared.cosmos.retries import INVOCATION_SECONDS

blueprint = func.Blueprint()


@blueprint.function_name("audit_feeds")
@blueprint.timer_trigger(arg_name="timer", schedule="0 */5 * * * *", run_on_startup=False, use_monitor=True)
@deadline(INVOCATION_SECONDS)
async def audit_feeds(timer: func.TimerRequest) -> None:
    """Count changes that the platform lost."""
    await (await fleet()).auditor.audit_all()


@blueprint.function_name("replay_repaired")
@blueprint.timer_trigger(arg_name="timer", schedule="40 */5 * * * *", run_on_startup=False, use_monitor=True)
@deadline(INVOCATION_SECONDS)
async def replay_repaired(timer: func.TimerRequest) -> None:
    """Mark the poison rows of documents that were repaired."""
    await (await fleet()).repairer.replay_repaired()


@blueprint.function_name("apply_prices")
@blueprint.timer_trigger(arg_name="timer", schedule="30 */5 * * * *", run_on_startup=False, use_monitor=True)
@deadline(INVOCATION_SECONDS)
async def apply_prices(timer: func.TimerRequest) -> None:
    """Reprice counted interactions after prices were added or corrected."""
    await (await fleet()).repricer.apply()


@blueprint.function_name("refresh_health")
@blueprint.timer_trigger(arg_name="timer", schedule="10 */5 * * * *", run_on_startup=False, use_monitor=True)
@deadline(INVOCATION_SECONDS)
async def refresh_health(timer: func.TimerRequest) -> None:
    """Publish the health of the current five minutes and of the ten before."""
    await (await fleet()).health.publish_windows()


@blueprint.function_name("refresh_views")
@blueprint.timer_trigger(arg_name="timer", schedule="20 */5 * * * *", run_on_startup=False, use_monitor=True)
@deadline(INVOCATION_SECONDS)
async def refresh_views(timer: func.TimerRequest) -> None:
    """Continue or begin the rounds of work over people, and build the contents that are due."""
    await (await fleet()).scheduled.publish_due()
