"""The database server of a run: one process, started and stopped by the bench."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from local.connection import Connection
from local.hash_keys import new_hash_keys
from local.processes import start_command
from local.summary import read_charges
from shared.cosmos.charges import Cost
from shared.settings import Settings

START_SECONDS = 30.0
GRACE_SECONDS = 10.0

METADATA = frozenset({"get_account", "get_dbs", "get_colls", "get_pkranges", "query_plan"})
"""Operations that the SDK does on its own and that the service does not charge to a change."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    endpoint: str
    connection_string: str

    def settings(self, database: str) -> Settings:
        """Return the fleet's settings for one database, everything else at its default."""
        return Settings(
            CosmosDb=self.connection_string,
            COSMOS_DATABASE=database,
            FLEET_STATE_MARGIN_DAYS=3_650,
            FLEET_HASH_KEYS=new_hash_keys(),
        )

    async def charged(self, client: str) -> Cost:
        """Return what the server has booked to a client so far, metadata left out."""
        total = Cost()
        for part in (await self.booked(client)).values():
            total.requests += part.requests
            total.request_units += part.request_units
        return total

    async def booked(self, client: str) -> dict[tuple[str, str], Cost]:
        """Return the same by container and operation."""
        connection = Connection({"CosmosDb": self.connection_string}, "the bench")
        return {
            (row["container"], row["operation"]): Cost(row["requests"], row["request_units"])
            for row in await read_charges(self.endpoint, connection)
            if row["client"] == client and row["operation"] not in METADATA
        }


@asynccontextmanager
async def running_server() -> AsyncIterator[Server]:
    """Start a server on an empty directory; stop it and remove the directory at the end.

    One physical partition per container, as in an account of this throughput (up to 10,000 RU/s).

    Raises
    ------
    StackError
        It does not start.
    """
    with tempfile.TemporaryDirectory(prefix="fleet-bench-") as directory:
        data = Path(directory)
        child, report = await start_command(
            "cosmos",
            ["cosmos", "--port", "0", "--data", str(data / "cosmos"), "--partitions", "1"],
            log=data / "cosmos.log",
            environment=os.environ,
            timeout=START_SECONDS,
        )
        try:
            yield Server(report["endpoint"], report["connection_string"])
        finally:
            await child.stop(GRACE_SECONDS)
