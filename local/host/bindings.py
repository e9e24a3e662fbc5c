"""What a function's decorators say, as typed values: the triggers this host runs, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Literal

from local.host.durable_bindings import ActivityTrigger, ClientInput, OrchestrationTrigger
from local.host.errors import HostStartError
from local.host.ncrontab import Schedule, parse_schedule, parse_time_zone
from local.host.retry import RetryPolicy
from local.host.settings import resolve_placeholders

AuthLevel = Literal["anonymous", "function", "admin"]
HTTP_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class CosmosTrigger:
    """A ``cosmos_db_trigger``. Intervals are in seconds; the defaults are the extension's."""

    connection: str
    database: str
    container: str
    lease_connection: str
    lease_database: str
    lease_container: str = "leases"
    lease_prefix: str = ""
    create_lease_container: bool = False
    max_items: int = 100
    poll_delay: float = 5.0
    acquire_interval: float = 13.0
    expiration_interval: float = 60.0
    renew_interval: float = 17.0
    start_from_beginning: bool = False
    start_from_time: datetime | None = None
    database_attribute: str = ""
    """The attribute as written, so that an error can name the setting behind it."""


@dataclass(frozen=True, slots=True)
class TimerTrigger:
    """A ``timer_trigger``."""

    schedule: Schedule
    expression: str
    """The schedule as text, with the time zone if it is not UTC: it changes when the due times do."""
    run_on_startup: bool = False
    use_monitor: bool = True
    zone: tzinfo = UTC
    """``WEBSITE_TIME_ZONE``: the times that the function is told are in it."""


@dataclass(frozen=True, slots=True)
class HttpTrigger:
    """A ``route``: its template without the prefix, the methods it answers (None: all) and its level."""

    route: str
    methods: frozenset[str] | None
    auth_level: AuthLevel


Trigger = CosmosTrigger | TimerTrigger | HttpTrigger | OrchestrationTrigger | ActivityTrigger


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """One function of the app: its name, its code and what sets it off."""

    name: str
    call: Callable[..., Any]
    is_async: bool
    argument: str
    """Name of the parameter that receives the trigger's value."""
    context_argument: str | None
    """Name of the parameter that receives a :class:`azure.functions.Context`, if it has one."""
    trigger: Trigger
    retry: RetryPolicy | None
    directory: Path
    """Where the file is that the function is written in."""
    client: ClientInput | None = None
    """Its durable client, if it has one."""


class Attributes:
    """The attributes of one binding, with errors that name the function and the attribute."""

    def __init__(self, function: str, binding: Mapping[str, Any], settings: Mapping[str, str]) -> None:
        self._function = function
        self._binding = binding
        self._settings = settings

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text with its ``%NAME%`` parts resolved; required unless there is a default."""
        value = self._binding.get(name)
        if value is None or value == "":
            if default is None:
                raise HostStartError(f"Function {self._function} has no value for {name}.")
            return default
        return resolve_placeholders(
            str(value), self._settings, where=f"{name} of function {self._function}"
        ).strip()

    def raw(self, name: str) -> str:
        """Return an attribute as it is written in the app."""
        return str(self._binding.get(name, ""))

    def flag(self, name: str, default: bool) -> bool:
        """Return a yes or no; the text of a setting counts too."""
        value = self._binding.get(name)
        if value is None:
            return default
        text = self.text(name).lower()
        if text not in ("true", "false", "1", "0"):
            raise HostStartError(
                f"{name} of function {self._function} is {text!r}; it must be true or false."
            )
        return text in ("true", "1")

    def whole(self, name: str, default: int) -> int:
        """Return a positive whole number; 0 means the default, as in the extension."""
        value = self._binding.get(name)
        if value is None:
            return default
        text = self.text(name)
        try:
            number = int(text)
        except ValueError:
            number = -1
        if number < 0:
            raise HostStartError(
                f"{name} of function {self._function} is {text!r}; it must be a positive whole number."
            )
        return number or default


def parse_cosmos_trigger(
    function: str, binding: Mapping[str, Any], settings: Mapping[str, str]
) -> CosmosTrigger:
    """Read a ``cosmosDBTrigger`` binding; :class:`HostStartError` where it cannot be used."""
    values = Attributes(function, binding, settings)
    connection = values.text("connection")
    database = values.text("databaseName")
    trigger = CosmosTrigger(
        connection=connection,
        database=database,
        container=values.text("containerName"),
        lease_connection=values.text("leaseConnection", connection),
        lease_database=values.text("leaseDatabaseName", database),
        lease_container=values.text("leaseContainerName", "leases"),
        lease_prefix=values.text("leaseContainerPrefix", ""),
        create_lease_container=values.flag("createLeaseContainerIfNotExists", False),
        max_items=values.whole("maxItemsPerInvocation", 100),
        poll_delay=values.whole("feedPollDelay", 5_000) / 1_000,
        acquire_interval=values.whole("leaseAcquireInterval", 13_000) / 1_000,
        expiration_interval=values.whole("leaseExpirationInterval", 60_000) / 1_000,
        renew_interval=values.whole("leaseRenewInterval", 17_000) / 1_000,
        start_from_beginning=values.flag("startFromBeginning", False),
        start_from_time=_start_time(function, values.text("startFromTime", "")),
        database_attribute=values.raw("databaseName"),
    )
    if trigger.start_from_time is not None and trigger.start_from_beginning:
        raise HostStartError(
            f"Function {function} sets both start_from_beginning and start_from_time; only one can hold."
        )
    if trigger.renew_interval >= trigger.expiration_interval:
        raise HostStartError(
            f"Function {function}: lease_renew_interval ({trigger.renew_interval:g} s) must be shorter than "
            f"lease_expiration_interval ({trigger.expiration_interval:g} s), or leases expire while in use."
        )
    same = (trigger.lease_connection, trigger.lease_database, trigger.lease_container)
    if same == (trigger.connection, trigger.database, trigger.container):
        raise HostStartError(f"Function {function} keeps its leases in the container that it monitors.")
    return trigger


def _start_time(function: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise HostStartError(
            f"start_from_time {text!r} of function {function} is not a time like 2026-02-16T14:19:29Z."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_timer_trigger(
    function: str, binding: Mapping[str, Any], settings: Mapping[str, str]
) -> TimerTrigger:
    """Read a ``timerTrigger`` binding; :class:`HostStartError` where it cannot be used."""
    values = Attributes(function, binding, settings)
    expression = values.text("schedule")
    zone = settings.get("WEBSITE_TIME_ZONE", "")
    try:
        where = parse_time_zone(zone)
    except ValueError as error:
        raise HostStartError(f"The setting WEBSITE_TIME_ZONE cannot be used: {error}.") from error
    try:
        schedule = parse_schedule(expression, where)
    except ValueError as error:
        raise HostStartError(f"The schedule of function {function} cannot be used: {error}.") from error
    return TimerTrigger(
        schedule=schedule,
        expression=f"{expression} {zone}" if zone else expression,
        run_on_startup=values.flag("runOnStartup", False),
        # The platform switches monitoring off for timers that are due more often than once a minute.
        use_monitor=values.flag("useMonitor", True) and not schedule.shorter_than_a_minute,
        zone=where,
    )


def parse_http_trigger(function: str, binding: Mapping[str, Any], settings: Mapping[str, str]) -> HttpTrigger:
    """Read a ``httpTrigger`` binding; :class:`HostStartError` where it cannot be used."""
    values = Attributes(function, binding, settings)
    level = values.text("authLevel", "function").lower()
    if level not in ("anonymous", "function", "admin"):
        raise HostStartError(
            f"authLevel {level!r} of function {function} is not anonymous, function or admin."
        )
    listed = binding.get("methods")
    methods = frozenset(str(method).upper() for method in listed) if listed else None
    if methods and not methods <= HTTP_METHODS:
        raise HostStartError(
            f"Function {function} lists unknown methods: {', '.join(sorted(methods - HTTP_METHODS))}."
        )
    return HttpTrigger(
        route=values.text("route", function).strip("/"),
        methods=methods,
        auth_level="anonymous" if level == "anonymous" else "admin" if level == "admin" else "function",
    )
