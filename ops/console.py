"""The common parts of the operator's commands: connecting, printing, and errors as exit codes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict
from typing import Annotated, Any

import typer
from azure.core.exceptions import AzureError
from rich.console import Console

from shared.errors import RefusedError, SettingsError
from shared.fleet import Fleet, connected_fleet
from shared.logs import configure_logging
from shared.settings import load_settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

USER_AGENT = "vimarsh-ops"
EXIT_REFUSED = 1
EXIT_SETTINGS = 2
EXIT_UNAVAILABLE = 3

OUT = Console()
ERR = Console(stderr=True)


def run(work: Callable[[Fleet], Awaitable[Any]]) -> Any:
    """Call ``work`` with a connected fleet. Report an error as one sentence and an exit code."""

    async def connected() -> Any:
        async with connected_fleet(load_settings(), user_agent=USER_AGENT, start_generation=False) as fleet:
            return await work(fleet)

    return reported(connected)


def reported(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    configure_logging("WARNING")
    try:
        return asyncio.run(work())
    except SettingsError as error:
        fail(str(error), EXIT_SETTINGS)
    except RefusedError as error:
        fail(str(error), EXIT_REFUSED)
    except AzureError as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        fail(f"The database did not do as asked: {first}", EXIT_UNAVAILABLE)


def fail(message: str, code: int) -> None:
    ERR.print(message, style="red", markup=False)
    raise typer.Exit(code)


def report_json(report: Any) -> dict[str, Any]:
    """Return a report as JSON, with its cost among its other fields."""
    fields: dict[str, Any] = asdict(report)
    cost: dict[str, Any] = fields.pop("cost", {})
    return fields | cost


def print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
