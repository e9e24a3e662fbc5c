"""How commands find the database: from explicit settings, or from the stack that runs on a data directory."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.processes import StackError

if TYPE_CHECKING:
    from azure.cosmos.aio import CosmosClient

DEFAULT_DATA = Path(".local/data")
DEFAULT_DATABASE = "vimarsh-multi-personality"
DEFAULT_GENERATION = "1"

DEFAULT_MARGIN_DAYS = "3650"
"""Sample traffic has dates of 2025 unless told otherwise. It is counted whatever the date is."""
CONNECTION_SETTINGS = ("CosmosDb", "CosmosDb__accountEndpoint")
SETTINGS = (
    "COSMOS_DATABASE",
    "FLEET_GENERATION",
    "FLEET_STATE_MARGIN_DAYS",
    "FLEET_HASH_KEYS",
    "ArchiveStorage",
    "AzureWebJobsStorage",
)
"""What else of the environment a command of ``python -m local`` uses instead of the stack's own setting."""


def stack_file(data: Path) -> Path:
    """Return where a running stack describes itself."""
    return data / "stack.json"


def read_stack(data: Path) -> dict[str, Any]:
    """Return the description of the stack that runs on ``data``.

    Raises
    ------
    StackError
        None runs there.
    """
    path = stack_file(data)
    try:
        description: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        raise StackError(
            f"No stack runs on {data} ({path} does not exist):"
            f" start one with `.venv/bin/python -m local up --data {data}`,"
            " or set CosmosDb to the connection string of a database."
        ) from None
    if not process_lives(description["pid"]):
        raise StackError(
            f"The stack on {data} did not stop cleanly (process {description['pid']} of {path} is gone):"
            f" start it again with `.venv/bin/python -m local up --data {data}`."
        )
    return description


def process_lives(pid: int) -> bool:
    """Say whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@dataclass(frozen=True, slots=True)
class Connection:
    """The settings of a database and, where it is ours, of its administration."""

    settings: Mapping[str, str]
    """Settings as the function app reads them: ``CosmosDb``, ``COSMOS_DATABASE``, …"""
    found_in: str
    """Where they come from, for messages."""

    @property
    def database(self) -> str:
        """Name of the database."""
        return self.settings.get("COSMOS_DATABASE") or DEFAULT_DATABASE

    def environment(self) -> dict[str, str]:
        """Return this process's environment with the settings in it."""
        return {**os.environ, **self.settings}

    @asynccontextmanager
    async def client(self, purpose: str) -> AsyncIterator[CosmosClient]:
        """Open a client; ``purpose`` is what request charges are booked under."""
        # Imported here: the database server, which starts with each stack, opens no client.
        from azure.cosmos.aio import CosmosClient

        from shared.cosmos.client import endpoint_of, transport
        from shared.cosmos.identity import environment_identity

        async with AsyncExitStack() as stack:
            secret = self.settings.get("CosmosDb")
            options: dict[str, Any] = {"user_agent_suffix": purpose}
            if secret:
                options["transport"] = transport(endpoint_of(secret))
                opened = CosmosClient.from_connection_string(secret, **options)
            else:
                credential = await stack.enter_async_context(environment_identity())
                endpoint = self.settings["CosmosDb__accountEndpoint"]
                opened = CosmosClient(endpoint, credential, transport=transport(endpoint), **options)
            yield await stack.enter_async_context(opened)


def find_connection(data: Path) -> Connection:
    """Return how to reach the database: the settings of this process's environment, or the running stack.

    Settings that name an account and a database win. A connection alone names no database and no generation;
    then the stack on ``data``, where one runs, is meant, with what else is set.

    Raises
    ------
    StackError
        No connection is set, and no stack runs on ``data``.
    """
    explicit = {name: os.environ[name] for name in (*CONNECTION_SETTINGS, *SETTINGS) if os.environ.get(name)}
    connects = any(name in explicit for name in CONNECTION_SETTINGS)
    try:
        settings: dict[str, str] = read_stack(data)["settings"]
    except StackError:
        if connects:
            return Connection(explicit, "the environment")
        raise
    own = explicit.get("CosmosDb") == settings["CosmosDb"]
    if connects and not own and "COSMOS_DATABASE" in explicit:
        return Connection(explicit, "the environment")
    added = {name: value for name, value in explicit.items() if name not in CONNECTION_SETTINGS}
    return Connection({**settings, **added}, str(stack_file(data)))


def export_lines(settings: Mapping[str, str]) -> Iterator[str]:
    """Return what a shell runs to have the settings of a stack, and no other connection."""
    for name, value in settings.items():
        yield f"export {name}={shlex.quote(value)}"
    for name in CONNECTION_SETTINGS:
        if name not in settings:
            yield f"unset {name}"
