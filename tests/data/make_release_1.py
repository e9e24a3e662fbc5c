"""Make ``release_1.jsonl.xz``: a small database that an earlier release filled over fourteen months.

Run it from the project's folder, in a clone that has the release::

    PYTHONPATH=. python -m tests.data.make_release_1

The traffic is written at its own times, on a server whose clock is moved along. So sources expire as they do
in the service, while the state and the views that came of them stay: there are people whose first visit the
sources have forgotten, sessions that are gone, and days that are published of documents that are gone. The
same release and the same seed give the same file.
"""

from __future__ import annotations

import asyncio
import json
import lzma
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

RELEASE = "1a4fa2e"
"""The last release of the first layout of the state."""

HERE = Path(__file__).resolve()
ROOT = HERE.parents[2]
DATA = HERE.with_name("release_1.jsonl.xz")

AS_OF = datetime(2025, 8, 20, 18, tzinfo=UTC)
"""When the copy is made: the moment at which a test continues."""

USERS, INTERACTIONS, DAYS, SEED = 14, 360, 430, 5
SHARDS = 16
STEP = timedelta(days=14)
"""Between two runs of the auditor and of the timers, which count and publish everything."""

OVERRIDE = {
    "model": "gemini-2.5-flash",
    "effective_from": "2024-08-01T00:00:00Z",
    "tiers": [{"input_nano_usd_per_token": 400, "output_nano_usd_per_token": 3000}],
}
"""A price that an operator puts, after its date, so that interactions are priced again."""

OVERRIDDEN = datetime(2025, 7, 30, tzinfo=UTC)

EXPIRED = "expired:"

Written = dict[tuple[str, str], dict[str, Any]]
"""The latest version of each source document, by container and id."""

SERVICES_OWN = ("_rid", "_self", "_attachments", "_lsn", "_etag")
"""System properties that mean nothing elsewhere. ``_ts`` is kept: it tells when a document was written."""


def main() -> None:
    """Check the release out, make the file with it, and remove the checkout."""
    with TemporaryDirectory() as folder:
        release, clock = Path(folder, "release"), Path(folder, "clock")
        clock.write_text("+0")
        git = ("git", "-C", str(ROOT), "worktree")
        subprocess.run([*git, "add", "--detach", str(release), RELEASE], check=True)
        try:
            environment = os.environ | {
                "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "moved_clock"), str(release)]),
                "PYTHONHASHSEED": "0",
                "MOVED_CLOCK": str(clock),
                "REPEATABLE_UUIDS": str(SEED),
            }
            subprocess.run([sys.executable, str(HERE), "--here"], cwd=release, env=environment, check=True)
        finally:
            subprocess.run([*git, "remove", "--force", str(release)], check=True)


async def make(clock: Path) -> None:
    """Play the traffic on the release and write the file. Runs inside the checkout."""
    from shared.cosmos.client import connect
    from shared.cosmos.provisioning import apply_catalogue
    from shared.fleet import Fleet  # type: ignore[attr-defined]  # where the release has it
    from shared.settings import Settings
    from tests.cosmos_server import running_server

    with TemporaryDirectory() as folder, running_server(Path(folder), partitions=2) as server:
        settings = Settings(
            CosmosDb=server.connection_string,
            FLEET_SHARDS=SHARDS,
            FLEET_GENERATION=1,
            FLEET_SHARD_CONCURRENCY=1,
            FLEET_DOCUMENT_BACKOFF_SECONDS=0,
        )
        async with connect(settings, user_agent="make") as client, connect(settings, user_agent="a") as other:
            await apply_catalogue(client, settings.cosmos_database)
            fleet = Fleet(
                settings,
                database=client.get_database_client(settings.cosmos_database),
                audit_database=other.get_database_client(settings.cosmos_database),
            )
            written = await play(fleet, clock)
            await dump(fleet, written)


async def play(fleet: Any, clock: Path) -> Written:
    """Write the traffic at its times, and run the fleet in between. Return what was written."""
    from shared.pricing.table import parse_price

    written: Written = {}
    for end, writes in groupby(traffic(), lambda write: step_of(write[0])):
        for moment, container, document in writes:
            stop_clock(clock, moment / 1000)
            await fleet.database.get_container_client(container).upsert_item(document)
            written[container, document["id"]] = document
        stop_clock(clock, end.timestamp())
        if end > OVERRIDDEN:
            await fleet.prices.put(parse_price(OVERRIDE))
        await fleet.generations.begin()
        await fleet.auditor.audit_all(delay_seconds=0)
        await fleet.repricer.apply()
        await fleet.auditor.audit_all(delay_seconds=0)
        await fleet.scheduled.publish_due(everything=True)
        await fleet.health.publish_windows()
        print(f"{end:%Y-%m-%d}", file=sys.stderr)
    return written


def stop_clock(clock: Path, at: float) -> None:
    """Stop the clock of both processes at a time, in seconds since the epoch."""
    new = clock.with_suffix(".new")
    new.write_text(f"={at}")
    new.replace(clock)  # the server never reads half a number


def traffic() -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield the writes until the copy is made, by time: time, container and document."""
    from local.seed.database import CONTENT, database_writes
    from local.seed.traffic import TrafficPlan

    plan = TrafficPlan(
        users=USERS,
        interactions=INTERACTIONS,
        days=DAYS,
        seed=SEED,
        until=AS_OF.date(),
        malformed_share=0.01,
    )
    writes = []
    for write in database_writes(plan):
        moment = plan.start if write.container in CONTENT else max(plan.start, write.moment)
        if moment < AS_OF.timestamp() * 1000:
            write.document.pop("embeddings", None)  # most of the file, and nothing reads them
            writes.append((moment, write.container, write.document))
    yield from sorted(writes, key=lambda write: write[0])


def step_of(moment: int) -> datetime:
    """Return when the fleet runs next after a moment."""
    return AS_OF - (AS_OF - datetime.fromtimestamp(moment / 1000, UTC)) // STEP * STEP


async def dump(fleet: Any, written: Written) -> None:
    """Write every document of every container but the leases, sorted, as lines of container and body.

    Source documents that have expired follow in the container's name with ``expired:`` before it.
    """
    rows = [row async for row in rows_of(fleet)]
    held = {(row["container"], row["body"]["id"]) for row in rows}
    rows += [
        {"container": f"{EXPIRED}{container}", "body": document}
        for (container, document_id), document in written.items()
        if (container, document_id) not in held
    ]
    rows.sort(key=lambda row: (row["container"], json.dumps(row["body"], sort_keys=True)))
    lines = (json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False) for row in rows)
    text = ("\n".join(lines) + "\n").replace(f"{Path.cwd()}/", "")  # in the traces of poison rows
    DATA.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    print(f"{len(rows)} documents, {DATA.stat().st_size} bytes", file=sys.stderr)


async def rows_of(fleet: Any) -> AsyncIterator[dict[str, Any]]:
    """Yield the documents. Of the system properties, when each was written is kept."""
    from shared.containers import CATALOGUE

    for container in CATALOGUE:
        if container.name == "change_feed_leases":
            continue
        client = fleet.database.get_container_client(container.name)
        async for item in client.query_items("SELECT * FROM c"):
            body = {name: value for name, value in item.items() if name not in SERVICES_OWN}
            yield {"container": container.name, "body": body}


if __name__ == "__main__":
    if sys.argv[1:] == ["--here"]:
        asyncio.run(make(Path(os.environ["MOVED_CLOCK"])))
    else:
        main()
