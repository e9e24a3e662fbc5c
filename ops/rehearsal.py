"""A recovery from a backup, done on the local server from beginning to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from azure.cosmos.aio import CosmosClient, DatabaseProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from shared.clock import SYSTEM_CLOCK
from shared.containers import CATALOGUE, FLEET_STATE, VIEW_CONTAINERS
from shared.containers import container as catalogued
from shared.cosmos.client import connect, endpoint_of
from shared.cosmos.provisioning import apply_catalogue
from shared.cosmos.queries import run_query
from shared.errors import RefusedError
from shared.fleet.wiring import Fleet, connected_fleet
from shared.ingest.sources import SOURCES
from shared.ledger.people_register import SCOPE_PREFIX
from shared.maintenance.backup import (
    EVERYTHING,
    Copy,
    describe,
    export_container,
    figures_by_place,
    read_export,
    restore_container,
    written_since,
)
from shared.privacy.keyring import KeyedHash
from shared.settings import Settings

LOCAL_SERVICE = "local"
"""What the local server answers in ``x-ms-serviceversion``. The service answers the number of its release."""

SUFFIX = "-rehearsal"
"""Ending of the name of the database that is restored into."""

NOT_RESTORED = ("change_feed_leases",)
"""Continuations in leases are of containers that are gone. Triggers make new leases."""

COMPARED = tuple(name for name in VIEW_CONTAINERS if name != "system_health")
"""``system_health`` shows the last minutes, which are others now."""

MAX_AUDITS, AUDIT_PAUSE = 200, 0.5
"""Runs of the auditor, and the seconds between two: it counts what is older than a second."""

MAX_FIELDS = 20

Progress = Callable[[int, int, str], None]
STEPS = ("refresh", "export", "restore", "tombstones", "count", "publish", "compare")


@dataclass(slots=True)
class ContainerReport:
    """One container before and after."""

    exported: int
    expired: int
    restored: int
    equal: bool
    """Whether count and hash are those of the export without what has expired."""


@dataclass(slots=True)
class ViewReport:
    """The documents of one view container before and after."""

    before: int = 0
    after: int = 0
    recounted: int = 0
    """Documents afterwards that the new generation has published."""
    different: int = 0
    """Documents that are only on one side, or whose figures differ."""


@dataclass(slots=True)
class RehearsalReport:
    """What a rehearsal found and measured."""

    containers: dict[str, ContainerReport] = field(default_factory=dict)
    views: dict[str, ViewReport] = field(default_factory=dict)
    fields: list[str] = field(default_factory=list)
    """Some of the fields in which views differ."""
    tombstones: int = 0
    lost: int = 0
    """Documents of the sources that were written after they were exported, and before the loss."""
    rto_seconds: float = 0.0
    """From the loss until the views were compared."""
    rpo_seconds: float = 0.0
    """From the beginning of the export to the loss."""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def recovered(self) -> bool:
        """Whether every document is back and every view shows the same."""
        return all(each.equal for each in self.containers.values()) and not any(
            each.different for each in self.views.values()
        )


class Rehearsal:
    """Restores a database of the local server into an empty one, and lets a new generation count it.

    Parameters
    ----------
    folder
        Where the export is kept. It holds personal data: the caller deletes it.
    """

    def __init__(self, settings: Settings, folder: Path, *, user_agent: str) -> None:
        self._settings = settings
        self._folder = folder
        self._user_agent = user_agent
        self._report = RehearsalReport()
        self._exported: dict[str, Copy] = {}

    async def run(self, on_progress: Progress) -> RehearsalReport:
        """Rehearse; return the report.

        1. *refresh*: bring the scheduled views up to date, so that both sides show all that is counted.
        2. *export*: copy every container into files. Then the loss: an empty database takes the place.
        3. *restore*: write the files into it, and compare counts and hashes.
        4. *tombstones*: write those again that the backup does not have.
        5. *count*: a new generation counts the restored sources until the auditor has caught up.
        6. *publish*: publish all views. 7. *compare* them with those before the loss.

        Raises
        ------
        RefusedError
            The account is not the local server.
        """
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(connect(self._settings, user_agent=self._user_agent))
            database = client.get_database_client(self._settings.cosmos_database)
            await require_local(self._settings, database)
            name = self._settings.cosmos_database + SUFFIX
            await _drop(client, name)  # what a rehearsal left that was killed
            stack.push_async_callback(_drop, client, name)
            with self._step("refresh", on_progress):
                await self._refresh()
            began = SYSTEM_CLOCK.monotonic()
            with self._step("export", on_progress):
                await self._export(database)
            lost_at = SYSTEM_CLOCK.monotonic()
            self._report.rpo_seconds = lost_at - began
            self._report.lost = await self._written_since_export(database)
            restored = client.get_database_client(name)
            with self._step("restore", on_progress):
                await apply_catalogue(client, name)
                await self._restore(restored)
            await self._recover(name, on_progress)
            with self._step("compare", on_progress):
                await self._compare(restored)
            self._report.rto_seconds = SYSTEM_CLOCK.monotonic() - lost_at
        return self._report

    @contextmanager
    def _step(self, name: str, on_progress: Progress) -> Iterator[None]:
        on_progress(STEPS.index(name), len(STEPS), name)
        began = SYSTEM_CLOCK.monotonic()
        yield
        self._report.seconds[name] = SYSTEM_CLOCK.monotonic() - began

    async def _refresh(self) -> None:
        async with connected_fleet(
            self._settings, user_agent=self._user_agent, start_generation=False
        ) as fleet:
            await fleet.scheduled.publish_everything()

    async def _export(self, database: DatabaseProxy) -> None:
        for each in CATALOGUE:
            if each.name not in NOT_RESTORED:
                keep = _is_no_tombstone if each.name == FLEET_STATE else lambda _: True
                container = database.get_container_client(each.name)
                self._exported[each.name] = await export_container(container, self._file(each.name), keep)
        await export_container(
            database.get_container_client(FLEET_STATE),
            self._file("tombstones"),
            lambda document: not _is_no_tombstone(document),
        )

    async def _written_since_export(self, database: DatabaseProxy) -> int:
        """Return how many documents of the sources the export does not have, of later seconds than it has."""
        counts = [
            await written_since(database.get_container_client(name), self._exported[name].newest)
            for name in SOURCES
        ]
        return sum(counts)

    async def _restore(self, database: DatabaseProxy) -> None:
        for name, copy in self._exported.items():
            container = database.get_container_client(name)
            now = SYSTEM_CLOCK.timestamp()
            expired = await restore_container(container, catalogued(name), self._file(name), now)
            there = await describe(container)
            self._report.containers[name] = ContainerReport(
                copy.documents, expired.documents, there.documents, there.equals(copy.without(expired))
            )

    async def _recover(self, name: str, on_progress: Progress) -> None:
        """Let the next generation count and publish what was restored."""
        settings = self._settings.model_copy(
            update={"cosmos_database": name, "generation": self._settings.generation + 1}
        )
        async with connected_fleet(settings, user_agent=self._user_agent) as fleet:
            with self._step("tombstones", on_progress):
                for document in read_export(self._file("tombstones")):
                    hashed = KeyedHash(document["key_id"], document["digest"])
                    await fleet.register.restore(hashed, document["erased_at"])
                    self._report.tombstones += 1
            with self._step("count", on_progress):
                await _count(fleet)
            with self._step("publish", on_progress):
                await fleet.scheduled.publish_everything()

    async def _compare(self, database: DatabaseProxy) -> None:
        fields: set[str] = set()
        for name in COMPARED:
            described = catalogued(name)
            rows = run_query(database.get_container_client(name), EVERYTHING, {})
            restored = [document async for document in rows]
            before = figures_by_place(read_export(self._file(name)), described)
            after = figures_by_place(restored, described)
            different = {place for place in before.keys() | after if before.get(place) != after.get(place)}
            new = sum(each["state"]["generation"] > self._settings.generation for each in restored)
            self._report.views[name] = ViewReport(len(before), len(after), new, len(different))
            for place in different:
                one, other = before.get(place, {}), after.get(place, {})
                fields |= {
                    f"{name}.{each}" for each in one.keys() | other if one.get(each) != other.get(each)
                }
        self._report.fields = sorted(fields)[:MAX_FIELDS]

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.jsonl.gz"


async def require_local(settings: Settings, database: DatabaseProxy) -> None:
    """Refuse any account but that of the local server on this machine, by what the server says it is.

    Raises
    ------
    RefusedError
        It is another one.
    """
    answers: list[Any] = []
    await database.read(response_hook=lambda headers, _: answers.append(headers.get("x-ms-serviceversion")))
    text = settings.cosmos_connection_string
    host = urlsplit(endpoint_of(text) if text else settings.cosmos_account_endpoint or "").hostname or ""
    if answers[-1:] != [LOCAL_SERVICE] or not _is_loopback(host):
        raise RefusedError(
            "A recovery is rehearsed on the local server only, and the settings name another account. "
            "docs/disaster-recovery.md says what to do there."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _drop(client: CosmosClient, name: str) -> None:
    try:
        await client.delete_database(name)
    except CosmosResourceNotFoundError:
        return  # it is gone


def _is_no_tombstone(document: dict[str, Any]) -> bool:
    return not (str(document.get("scope")).startswith(SCOPE_PREFIX) and "erased_at" in document)


async def _count(fleet: Fleet) -> None:
    """Audit until everything is counted and the generation is complete.

    Raises
    ------
    RefusedError
        The auditor does not catch up.
    """
    for _ in range(MAX_AUDITS):
        reports = await fleet.auditor.audit_all(delay_seconds=0)
        if all(report.caught_up for report in reports) and await fleet.generations.is_complete():
            return
        await asyncio.sleep(AUDIT_PAUSE)
    raise RefusedError("The auditor did not catch up with what was restored.")
