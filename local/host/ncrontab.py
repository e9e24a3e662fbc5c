"""Timer schedules: six-field NCRONTAB (seconds first), five-field CRON, or a time span."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

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
_RANGE = re.compile(r"(\w+)-(\w+)")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
)  # fmt: skip
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_NAMES = {4: ("", *_MONTHS), 5: _DAYS}
"""Names of a field's numbers, by the field's position."""


class Schedule(Protocol):
    """When a timer is due."""

    def next_after(self, moment: datetime) -> datetime:
        """Return the first occurrence later than ``moment``, in UTC."""
        ...

    @property
    def shorter_than_a_minute(self) -> bool:
        """Whether occurrences are less than a minute apart: the platform does not monitor such timers."""
        ...


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """Occurrences of a NCRONTAB expression. Day of month and day of week must both match, as in NCRONTAB.

    The expression speaks of the wall clock of ``zone``. Where that clock is put forward or back, the rules
    are those of ``CronSchedule.GetNextOccurrence`` in the platform's timer extension.
    """

    expression: str
    zone: tzinfo = UTC

    @property
    def is_interval(self) -> bool:
        """Whether it repeats within the day, so that the repeated hour in autumn counts twice."""
        return any(sign in part for part in self.expression.split()[:3] for sign in "*-/")

    def next_after(self, moment: datetime) -> datetime:
        """Return the first occurrence later than ``moment``, in UTC: clocks of a zone do not compare."""
        now = moment.astimezone(self.zone)
        wall = self._on_the_wall(now.replace(tzinfo=None))
        # A time that is skipped in spring counts from the old offset, so it falls into the hour after it. A
        # time that exists twice in autumn is the second one, unless the lines below say otherwise.
        following = wall.replace(tzinfo=self.zone, fold=1 if self._is_repeated(wall) else 0)
        moved = _offset(following) - _offset(now)
        if self.is_interval:
            if moved and (self._is_repeated(now) or self._is_repeated(following)):
                following = (following.astimezone(UTC) + moved).astimezone(self.zone)
        elif self._is_repeated(following):
            if moved:
                following = following.replace(fold=0)
            else:  # in the second of the two hours: it has run in the first
                while self._is_repeated(wall):
                    wall = self._on_the_wall(wall)
                following = wall.replace(tzinfo=self.zone)
        return following.astimezone(UTC)

    def _on_the_wall(self, wall: datetime) -> datetime:
        cron = croniter(self.expression, wall.replace(tzinfo=UTC), second_at_beginning=True, day_or=False)
        found: datetime = cron.get_next(datetime)
        return found.replace(tzinfo=None)

    def _is_repeated(self, moment: datetime) -> bool:
        """Whether a clock of the zone shows this time twice."""
        first, second = (moment.replace(tzinfo=self.zone, fold=fold) for fold in (0, 1))
        return _offset(first) > _offset(second)

    @property
    def shorter_than_a_minute(self) -> bool:
        """Whether the next five occurrences hold two that are less than a minute apart."""
        moment = datetime(2024, 1, 1)
        for _ in range(5):
            following = self._on_the_wall(moment)
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


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta(0)


def parse_time_zone(name: str) -> tzinfo:
    """Return the zone of ``WEBSITE_TIME_ZONE``, a name of the IANA database as on Linux; empty is UTC.

    Raises
    ------
    ValueError
        There is no such zone; the message says what to write.
    """
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone of the IANA database, like Europe/Berlin") from None


def parse_schedule(text: str, zone: tzinfo = UTC) -> Schedule:
    """Read a timer's ``schedule``, which speaks of the time in ``zone``.

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
        if not _FIELD.match(part):
            raise ValueError(f"{text!r}: the field {part!r} is not NCRONTAB")
        try:
            fields[position] = _numbered(part, _NAMES.get(position, ()))
        except ValueError as error:
            raise ValueError(f"{text!r}: the field {part!r} is not NCRONTAB: {error}") from None
    if re.search(r"(?<![0-9/])7(?![0-9])", fields[5]):
        raise ValueError(f"{text!r}: days of the week go from 0 (Sunday) to 6")
    try:
        schedule = CronSchedule(" ".join(fields), zone)
        schedule.next_after(datetime(2024, 1, 1, tzinfo=UTC))
    except (CroniterError, KeyError) as error:
        raise ValueError(f"{text!r} is not NCRONTAB: {error}") from error
    return schedule


def _numbered(part: str, names: Sequence[str]) -> str:
    """Return a field with numbers in place of names.

    Raises
    ------
    ValueError
        There is no such name, or a range runs backwards: NCRONTAB swaps its ends, where others wrap around.
    """

    def number(match: re.Match[str]) -> str:
        for value, name in enumerate(names):
            if name and name.startswith(match.group().lower()):
                return str(value)
        raise ValueError(f"{match.group()!r} is no name here")

    numbered = _NAME.sub(number, part)
    for first, last in _RANGE.findall(numbered):
        if int(first) > int(last):
            raise ValueError(f"{first}-{last} runs backwards, which the platform takes for {last}-{first}")
    return numbered
