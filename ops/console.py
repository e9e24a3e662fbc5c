"""The common parts of the operator's commands: connecting, and errors as one sentence and an exit code."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import asdict
from typing import Any, TypeVar

import typer
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from shared.cosmos.access import not_found
from shared.cosmos.retries import StorageUnavailableError, is_service_fault, is_transient
from shared.errors import TEMPORARY, FleetError, NotReadyError, RefusedError, SettingsError, line_of
from shared.fleet.wiring import Fleet, connected_fleet
from shared.logs import configure_logging
from shared.settings import load_settings
from terminal.logs import as_line
from terminal.output import Exit, fail

USER_AGENT = "vimarsh-ops"

NOT_ALLOWED = (401, 403)
"""The service's answers to a wrong key, and to an identity without the right."""

Connected = TypeVar("Connected")
Answer = TypeVar("Answer")


def run(work: Callable[[Fleet], Awaitable[Any]]) -> Any:
    """Call ``work`` with a connected fleet. Report an error as one sentence and an exit code."""

    async def connected() -> Any:
        async with connected_fleet(load_settings(), user_agent=USER_AGENT, start_generation=False) as fleet:
            return await work(fleet)

    return reported(connected)


def run_with(
    connect: Callable[[Fleet], AbstractAsyncContextManager[Connected]],
    work: Callable[[Connected], Awaitable[Answer]],
) -> Answer:
    """Call ``work`` with what ``connect`` opens for a connected fleet, as :func:`run` does."""

    async def connected(fleet: Fleet) -> Answer:
        async with connect(fleet) as opened:
            return await work(opened)

    answer: Answer = run(connected)
    return answer


def reported(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Return the result of ``work``. Report an error as one sentence and an exit code."""
    configure_logging("WARNING", as_line)
    logging.getLogger("azure").setLevel(logging.ERROR)  # the command says itself what was not answered
    try:
        return asyncio.run(work())
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None
    except (SettingsError, NotReadyError) as error:
        fail(line_of(error), Exit.USAGE)
    except Exception as error:
        if isinstance(error, FleetError) and not isinstance(error, AzureError):
            fail(line_of(error), Exit.UNREACHABLE if isinstance(error, TEMPORARY) else Exit.REFUSED)
        if not isinstance(error, AzureError) and not is_service_fault(error):
            raise
        _fail_with(error)


@contextmanager
def refusals() -> Iterator[None]:
    """Report a refusal of a command that needs no connection as one sentence and an exit code."""
    try:
        yield
    except RefusedError as error:
        fail(line_of(error), Exit.USAGE)


def _fail_with(error: Exception) -> None:
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    # The storage's SDK gives its errors a name of the service's, the database's does not.
    of_storage = isinstance(error, StorageUnavailableError) or hasattr(error, "error_code")
    service = "archive storage" if of_storage else "database"
    refused = isinstance(error, HttpResponseError) and error.status_code in NOT_ALLOWED
    if refused or isinstance(error, ClientAuthenticationError):
        fail(f"The {service} refuses the key or identity of the settings: {first}", Exit.USAGE)
    if isinstance(error, CosmosResourceNotFoundError) and not is_transient(error):
        fail(not_found([]), Exit.USAGE)  # commands expect that documents may be missing
    fail(f"The {service} did not do as asked: {first}", Exit.UNREACHABLE)


def report_json(report: Any) -> dict[str, Any]:
    """Return a report as JSON, with its cost among its other fields."""
    fields: dict[str, Any] = asdict(report)
    cost: dict[str, Any] = fields.pop("cost", {})
    return fields | cost
