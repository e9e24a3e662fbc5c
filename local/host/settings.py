"""App settings as the platform resolves them: environment, ``local.settings.json``, ``%NAME%``, host.json."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.host.errors import HostStartError
from local.host.host_json import check_host_json

PLACEHOLDER = re.compile(r"%([^%\s]+)%")
TIME_SPAN = re.compile(r"^(?:(\d+)\.)?(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,7}))?$")

DEFAULT_FUNCTION_TIMEOUT = 5 * 60.0
"""Seconds; the Consumption plan's default, the shortest of all: what needs longer has to say so."""

LOG_LEVELS: Mapping[str, str] = {
    "trace": "DEBUG",
    "debug": "DEBUG",
    "information": "INFO",
    "warning": "WARNING",
    "error": "ERROR",
    "critical": "CRITICAL",
    "none": "CRITICAL",
}


def load_app_settings(app_dir: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Return the app settings: the environment, completed by the "Values" of ``local.settings.json``.

    A variable of the environment wins over the file, as with the Functions core tools.

    Raises
    ------
    HostStartError
        The file is not JSON, or its values are not plain text.
    """
    settings = dict(env)
    path = app_dir / "local.settings.json"
    if not path.is_file():
        return settings
    document = read_json_object(path)
    if document.get("IsEncrypted"):
        raise HostStartError(
            f"{path} is encrypted; run 'func settings decrypt' or set the values as variables."
        )
    values = document.get("Values", {})
    if not isinstance(values, dict):
        raise HostStartError(f"'Values' in {path} must be an object of names and texts.")
    for name, value in values.items():
        if not isinstance(value, str | int | float | bool):
            raise HostStartError(f"The setting {name} in {path} must be a text, not {type(value).__name__}.")
        settings.setdefault(name, str(value))
    return settings


def export_settings(settings: Mapping[str, str]) -> None:
    """Make the app settings visible to the app's own code, which reads them from the environment."""
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object; raise :class:`HostStartError` where it does not."""
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise HostStartError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise HostStartError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(document, dict):
        raise HostStartError(f"{path} must hold a JSON object.")
    return document


def resolve_placeholders(value: str, settings: Mapping[str, str], *, where: str) -> str:
    """Replace each ``%NAME%`` in an attribute by the setting NAME, as the platform does.

    Raises
    ------
    HostStartError
        A named setting does not exist. ``where`` says which attribute of which function asked for it.
    """

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        found = settings.get(name)
        if found is None or found == "":
            raise HostStartError(
                f"The setting {name} is not set; {where} is '{value}', and what stands between % signs has "
                "to be an app setting (a default in the app's own code does not count, here as in Azure)."
            )
        return found

    return PLACEHOLDER.sub(replace, value)


def parse_time_span(text: str) -> float:
    """Return the seconds of a .NET time span ``[d.]hh:mm:ss[.fffffff]``; ``ValueError`` if it is none.

    Hours above 23 are days, as .NET reads ``24:00:00``: twenty-four days.
    """
    match = TIME_SPAN.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a time span like 00:00:30")
    days, first, second, third = (int(part or 0) for part in match.groups()[:4])
    fraction = float(f"0.{match.group(5)}") if match.group(5) else 0.0
    if match.group(1) is None and first > 23:
        if second > 23 or third > 59:
            raise ValueError(
                f"{text!r} is not a time span: {first} days need hours below 24, minutes below 60"
            )
        return first * 86_400.0 + second * 3_600 + third * 60
    if first > 23 or second > 59 or third > 59:
        raise ValueError(f"{text!r} is not a time span: hours go to 23, minutes and seconds to 59")
    return days * 86_400.0 + first * 3_600 + second * 60 + third + fraction


@dataclass(frozen=True, slots=True)
class HostJson:
    """What this host takes from ``host.json``."""

    log_levels: Mapping[str, str] = field(default_factory=lambda: {"default": "INFO"})
    """Level per category, and ``default``; a category counts for all that begin with it and a dot."""
    route_prefix: str = "api"
    max_concurrent_requests: int = 100
    """HTTP requests that run at the same time; more wait for their turn."""
    max_outstanding_requests: int = 200
    """HTTP requests running or waiting; more are answered with 429."""
    function_timeout: float | None = DEFAULT_FUNCTION_TIMEOUT
    """Seconds an invocation may take; None is unlimited (``"-1"`` in the file)."""
    user_agent_suffix: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


def load_host_json(app_dir: Path) -> HostJson:
    """Read ``host.json`` of the app.

    Raises
    ------
    HostStartError
        It is missing, not JSON, not version 2.0, or a value that this host honours cannot be used.
    """
    path = app_dir / "host.json"
    if not path.is_file():
        raise HostStartError(f"{path} does not exist; a function app needs it beside function_app.py.")
    document = read_json_object(path)
    if document.get("version") != "2.0":
        raise HostStartError(f"'version' in {path} is {document.get('version')!r}; it must be \"2.0\".")
    check_host_json(document, path)
    http = _section(document, path, "extensions", "http")
    cosmos = _section(document, path, "extensions", "cosmosDB")
    return HostJson(
        log_levels=_log_levels(document, path),
        route_prefix=_text(http, path, "http.routePrefix", "api").strip("/"),
        max_concurrent_requests=_positive(http, path, "maxConcurrentRequests", 100),
        max_outstanding_requests=_positive(http, path, "maxOutstandingRequests", 200),
        function_timeout=_function_timeout(document.get("functionTimeout"), path),
        user_agent_suffix=_text(cosmos, path, "cosmosDB.userAgentSuffix", "") or None,
        raw=document,
    )


def _section(document: Mapping[str, Any], path: Path, *names: str) -> Mapping[str, Any]:
    current: Any = document
    for name in names:
        current = current.get(name, {})
        if not isinstance(current, dict):
            raise HostStartError(f"'{'.'.join(names)}' in {path} must be an object.")
    found: Mapping[str, Any] = current
    return found


def _log_levels(document: Mapping[str, Any], path: Path) -> Mapping[str, str]:
    levels = {"default": "INFO"}
    for category, level in _section(document, path, "logging", "logLevel").items():
        if str(level).lower() not in LOG_LEVELS:
            raise HostStartError(
                f"'logging.logLevel.{category}' in {path} is {level!r}; use one of {', '.join(LOG_LEVELS)}."
            )
        levels[category] = LOG_LEVELS[str(level).lower()]
    return levels


def _positive(section: Mapping[str, Any], path: Path, name: str, default: int) -> int:
    value = section.get(name, default)
    if value == -1:
        return 1_000_000  # the platform's way to say unbounded; connections bound it anyway
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise HostStartError(
            f"'extensions.http.{name}' in {path} is {value!r}; it must be a positive number."
        )
    return value


def _text(section: Mapping[str, Any], path: Path, name: str, default: str) -> str:
    value = section.get(name.rpartition(".")[2], default)
    if not isinstance(value, str):
        raise HostStartError(f"'extensions.{name}' in {path} is {value!r}; it must be a text.")
    return value


def _function_timeout(value: Any, path: Path) -> float | None:
    if value is None:
        return DEFAULT_FUNCTION_TIMEOUT
    if str(value) == "-1":
        return None
    try:
        seconds = parse_time_span(str(value))
    except ValueError as error:
        raise HostStartError(f"'functionTimeout' in {path}: {error}.") from error
    if seconds <= 0:
        raise HostStartError(f"'functionTimeout' in {path} is {value!r}; it must be longer than nothing.")
    return seconds
