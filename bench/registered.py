"""The functions that the app registers: its timers with their schedules, and its change feed triggers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from local.host.bindings import CosmosTrigger, FunctionSpec, TimerTrigger
from local.host.loading import load_functions
from local.host.ncrontab import Schedule
from local.host.settings import load_app_settings
from local.processes import ROOT

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
"""Where counting occurrences begins: a Thursday in a year without a leap day."""


def registered_functions() -> list[FunctionSpec]:
    """Return the app's functions. The app reads its settings from this process's environment, once.

    Raises
    ------
    HostStartError
        The app or its settings are not usable.
    """
    return load_functions(ROOT, load_app_settings(ROOT, os.environ))


def timers(functions: Sequence[FunctionSpec]) -> dict[str, TimerTrigger]:
    """Return the timers by name."""
    return {spec.name: spec.trigger for spec in functions if isinstance(spec.trigger, TimerTrigger)}


def feeds(functions: Sequence[FunctionSpec]) -> dict[str, CosmosTrigger]:
    """Return the change feed triggers by name."""
    return {spec.name: spec.trigger for spec in functions if isinstance(spec.trigger, CosmosTrigger)}


def runs_per_day(schedule: Schedule) -> float:
    """Return how often a timer is due on a day; of a rarer timer, on average over 52 weeks."""
    first = schedule.next_after(MIDNIGHT - timedelta(seconds=1))
    days = 1 if schedule.next_after(first) < first + timedelta(days=1) else 364
    end, runs = MIDNIGHT + timedelta(days=days), 0
    while first < end:
        runs += 1
        first = schedule.next_after(first)
    return runs / days


def longest_pause(schedule: Schedule) -> float:
    """Return the most seconds between two runs on a day, or between the first two of a rarer timer."""
    moment = schedule.next_after(MIDNIGHT - timedelta(seconds=1))
    end, longest = MIDNIGHT + timedelta(days=1), 0.0
    while not longest or moment < end:
        following = schedule.next_after(moment)
        longest, moment = max(longest, (following - moment).total_seconds()), following
    return longest


def next_due(triggers: Sequence[TimerTrigger], now: datetime) -> float:
    """Return the seconds until the first of some timers is due."""
    waits = (trigger.schedule.next_after(now) - now for trigger in triggers)
    return min((wait.total_seconds() for wait in waits), default=float("inf"))
