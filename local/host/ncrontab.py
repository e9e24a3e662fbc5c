"""Timer schedules: six-field NCRONTAB (seconds first), five-field CRON, or a time span."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from croniter import croniter
from croniter.croniter import CroniterError

from local.host.settings import parse_time_span

# NCRONTAB knows numbers, names, lists, ranges and steps. croniter knows more (L, #, H, R, @hourly); what only
# it knows would work on a laptop and be refused in Azure.
_FIELD = re.compile(
    r"^(?:\*|[0-9]+|[A-Za-z]{3,9})(?:-(?:[0-9]+|[A-Za-z]{3,9}))?(?:/[0-9]+)?"
    r"(?:,(?:\*|[0-9]+|[A-Za-z]{3,9})(?:-(?:[0-9]+|[A-Za-z]{3,9}))?(?:/[0-9]+)?)*$"
)
_NAME = re.compile(r"[A-Za-z]+")


class Schedule(Protocol):
    """When a timer is due. All times are in UTC."""

    def next_after(self, moment: datetime) -> datetime:
        """Return the first occurrence later than ``moment``."""
        ...

    @property
    def shorter_than_a_minute(self) -> bool:
        """Whether occurrences are less than a minute apart: the platform does not monitor such timers."""
        ...


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """Occurrences of a NCRONTAB expression. Day of month and day of week must both match, as in NCRONTAB."""

    expression: str

    def next_after(self, moment: datetime) -> datetime:
        """Return the first occurrence later than ``moment``."""
        cron = croniter(self.expression, moment.astimezone(UTC), second_at_beginning=True, day_or=False)
        found: datetime = cron.get_next(datetime)
        return found

    @property
    def shorter_than_a_minute(self) -> bool:
        """Whether the next five occurrences hold two that are less than a minute apart."""
        moment = datetime(2024, 1, 1, tzinfo=UTC)
        for _ in range(5):
            following = self.next_after(moment)
            if following - moment < timedelta(minutes=1):
                return True
            moment = following
        return False


@dataclass(frozen=True, slots=True)
class IntervalSchedule:
    """Occurrences at a fixed distance."""

    seconds: float

    def next_after(self, moment: datetime) -> datetime:
        """Return ``moment`` plus the interval."""
        return moment + timedelta(seconds=self.seconds)

    @property
    def shorter_than_a_minute(self) -> bool:
        """Whether the interval is below a minute."""
        return self.seconds < 60


def parse_schedule(text: str) -> Schedule:
    """Read a timer's ``schedule``.

    Raises
    ------
    ValueError
        It is neither NCRONTAB nor a time span; the message says which part.
    """
    fields = text.split()
    if len(fields) == 1:
        seconds = parse_time_span(text)
        if seconds <= 0:
            raise ValueError(f"{text!r} is not longer than nothing")
        return IntervalSchedule(seconds)
    if len(fields) == 5:
        fields = ["0", *fields]
    if len(fields) != 6:
        raise ValueError(
            f"{text!r} has {len(fields)} fields; NCRONTAB has six: second minute hour day month day-of-week"
        )
    for position, part in enumerate(fields):
        if not _FIELD.match(part) or (position not in (4, 5) and _NAME.search(part)):
            raise ValueError(f"{text!r}: the field {part!r} is not NCRONTAB")
    if re.search(r"(?<![0-9/])7(?![0-9])", fields[5]):
        raise ValueError(f"{text!r}: days of the week go from 0 (Sunday) to 6")
    expression = " ".join(_short_names(part) for part in fields)
    try:
        schedule = CronSchedule(expression)
        schedule.next_after(datetime(2024, 1, 1, tzinfo=UTC))
    except (CroniterError, KeyError) as error:
        raise ValueError(f"{text!r} is not NCRONTAB: {error}") from error
    return schedule


def _short_names(part: str) -> str:
    """Cut ``January`` and ``Monday`` to the three letters that croniter knows; NCRONTAB takes both."""
    return _NAME.sub(lambda match: match.group(0)[:3].lower(), part)
