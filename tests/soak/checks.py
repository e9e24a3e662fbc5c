"""What must hold when a soak is over, each compared on its own so that one failure hides no other."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from local.host.lag import FeedLag, LagMeter
from local.processes import ROOT
from local.seed.traffic import INTERACTIONS
from shared.fleet.wiring import connected_fleet
from shared.settings import Settings
from tests.acceptance.fleet import RunningFleet
from tests.corrections import Document
from tests.independent import assert_all_views_equal, assert_health_equal, is_malformed
from tests.independent.health import windows_of
from tests.soak.conductor import Conductor
from tests.soak.crew import Crew
from tests.soak.logs import LogSummary
from tests.soak.memory import BOUND_PER_WRITE, Series
from tests.soak.plan import KILLS_DATABASE, SOURCES, SPLIT_CONTAINERS, Kind
from tests.soak.traffic import Book, Reference, reference_of

COMPARED = (
    "daily_metrics",
    "user_analytics",
    "engagement_summary",
    "content_popularity",
    "incidents_by_content",
    "content_analytics",
    "personality_vectors",
    "personalities",
)
"""Containers that are compared with all documents. Health is of five minutes: see :func:`check_health`."""

AUDIT_SECONDS = 30.0
"""Seconds of one run of the auditor over one feed; it runs until it has seen everything."""

MOST_SHOWN = 12
BALANCE_SECONDS = 90.0
"""Seconds until hosts that all live have to share the leases evenly; they look every 13."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold."""

    what: str
    holds: bool
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {"what": self.what, "holds": self.holds, "detail": self.detail}


def verdict(what: str, wrong: Iterable[str], fine: str = "") -> Check:
    """Return a check that holds if nothing is wrong."""
    found = list(wrong)
    if not found:
        return Check(what, True, fine)
    more = [f"… and {len(found) - MOST_SHOWN} more"] if len(found) > MOST_SHOWN else []
    return Check(what, False, "\n".join([f"{len(found)} found:", *found[:MOST_SHOWN], *more]))


async def check_data(fleet: RunningFleet, book: Book) -> list[Check]:
    """Compare sources, views and poison with what was written. Everything that is due must be published."""
    documents = {name: await fleet.all_of(name) for name in SOURCES}
    rows = await fleet.all_of("poison_messages")
    interactions = documents["user_interactions"]
    return [
        verdict(
            "the database holds every acknowledged write",
            book.discrepancies(interactions),
            f"{len(interactions):,} interactions",
        ),
        await check_views(fleet, "after a refresh", passages_grew=True),
        verdict(
            "every malformed document is in poison once",
            poison_discrepancies(rows, documents, book),
            f"{len(rows):,} rows, with those of documents that were repaired since",
        ),
    ]


async def check_views(fleet: RunningFleet, when: str, *, passages_grew: bool = False) -> Check:
    """Compare every field of every view with the documents.

    Parameters
    ----------
    passages_grew
        Whether a few fields are left out, because they say what was known of passages when a document was
        calculated.
    """
    published = {name: await fleet.all_of(name) for name in COMPARED}
    documents = {name: await fleet.all_of(name) for name in SOURCES}
    what = f"every field of every view equals an independent computation, {when}"
    try:
        assert_all_views_equal(published, documents, passages_grew=passages_grew)
    except AssertionError as difference:
        return Check(what, False, str(difference))
    return Check(what, True, ", ".join(f"{len(found):,} of {name}" for name, found in published.items()))


async def check_health(fleet: RunningFleet) -> Check:
    """Write interactions of these minutes, count and publish them, and compare the last windows."""
    await fleet.write(list(recent_interactions(datetime.now(UTC))))
    await fleet.drain()
    async with connected_fleet(Settings(**fleet.stack.settings)) as operator:
        while True:
            begun = datetime.now(UTC)
            await operator.health.publish_windows()
            if windows_of(begun) == windows_of(datetime.now(UTC)):
                break
    documents = {name: await fleet.all_of(name) for name in SOURCES}
    shown = await fleet.all_of("system_health")
    what = "the health of the last minutes equals an independent computation"
    try:
        assert_health_equal(shown, documents, begun)
    except AssertionError as difference:
        return Check(what, False, str(difference))
    first = f"{windows_of(begun)[-1]:%Y-%m-%dT%H:%M:%SZ}"
    compared = sum(document["timestamp"] >= first for document in shown)
    return verdict(what, [] if compared else ["no window has a document"], f"{compared} documents")


def recent_interactions(now: datetime) -> Iterator[Document]:
    """Yield interactions of the last ten minutes: slow and unanswered ones, then good ones."""
    for number in range(20):
        is_bad = number < 8
        yield {
            "id": f"health_{number}",
            "user_id": f"health_{number % 5}",
            "timestamp": (now - timedelta(seconds=30 * (20 - number))).isoformat(),
            "response_text": "" if is_bad and number % 2 else "…",
            "response_time_ms": 9_000 if is_bad else 700 + number,
            "user_rating": 1 if is_bad else 5,
            "user_feedback": {"accurate": not is_bad},
            "quality_metrics": {"safety_score": 0.9, "citation_accuracy": number / 20},
            "response_metadata": {"personality_used": "krishna"},
        }


async def check_rebuild(fleet: RunningFleet) -> Check:
    """Count everything again from the ledger, and publish it: there must be nothing to correct."""
    async with connected_fleet(Settings(**fleet.stack.settings)) as operator:
        report = await operator.rebuilder.rebuild([])
    wrong = [f"{report.corrected} partials corrected"] if report.corrected else []
    wrong += [f"shards {', '.join(report.unfinished)} not counted"] if report.unfinished else []
    wrong += [f"{report.poisoned} documents could not be published"] if report.poisoned else []
    detail = f"{report.pages:,} pages, {report.partials:,} partials, {report.published:,} documents"
    return verdict("a rebuild has nothing to correct", wrong, detail)


def poison_discrepancies(
    rows: Iterable[Document], documents: Mapping[str, list[Document]], book: Book
) -> list[str]:
    """Return a line for each malformed document without exactly one row, and for each row without reason."""
    found: list[str] = []
    by_document: defaultdict[Reference, list[Document]] = defaultdict(list)
    for row in rows:
        user = json.dumps(row["source_partition_key"])
        by_document[row["source_container"], user, row["document_id"]].append(row)
    for container, document in ((name, document) for name in documents for document in documents[name]):
        key = reference_of(container, document)
        own = by_document.pop(key, [])
        if len(own) > 1:
            found.append(f"{key}: has {len(own)} rows")
        if not (key in book.malformed or (container == INTERACTIONS and is_malformed(document))):
            if own and key not in book.damaged:
                found.append(f"{key}: has a row and was never malformed: {_why(own[0])}")
        elif not own:
            found.append(f"{key}: is malformed and has no row")
        elif own[0]["source_etag"] != document["_etag"] or own[0]["status"] != "pending":
            found.append(f"{key}: its row is of another version, or {own[0]['status']}")
    found.extend(f"{key}: has a row and is not there: {_why(own[0])}" for key, own in by_document.items())
    return found


def _why(row: Document) -> str:
    return f"{row['error_type']} {row['error_message']}"


async def check_repair(fleet: RunningFleet) -> Check:
    """Let the auditor count what hosts lost."""
    found: Counter[str] = Counter()
    async with connected_fleet(Settings(**fleet.stack.settings)) as audit:
        for feed in SOURCES:
            while True:
                deadline = monotonic() + AUDIT_SECONDS
                report = await audit.auditor.audit(feed, delay_seconds=0, deadline=deadline)
                found[feed] += report.repaired
                if report.caught_up:
                    break
    detail = ", ".join(f"{count:,} of {feed}" for feed, count in found.items())
    return Check("an audit counts what hosts lost", found.total() > 0, f"repaired: {detail}")


async def check_audit(fleet: RunningFleet) -> Check:
    """Let the auditor go over everything: there must be nothing to repair."""
    async with connected_fleet(Settings(**fleet.stack.settings)) as audit:
        reports = await audit.auditor.audit_all(delay_seconds=0, from_beginning=True)
    wrong = [f"{report.feed}: {report.repaired} repaired" for report in reports if report.repaired]
    wrong += [f"{report.feed}: not looked through in time" for report in reports if not report.caught_up]
    looked = ", ".join(f"{report.documents:,} of {report.feed}" for report in reports)
    return verdict("a second audit, from the beginning, has nothing to repair", wrong, f"looked at {looked}")


async def check_leases(crew: Crew) -> Check:
    """Wait until the hosts that live share all leases evenly."""
    started = monotonic()
    async with LagMeter(ROOT) as meter:
        while True:
            feeds = await meter.measure()
            wrong = lease_discrepancies(feeds, set(crew.hosts))
            if not wrong or monotonic() - started > BALANCE_SECONDS:
                break
            await asyncio.sleep(1)
    shared = "; ".join(f"{feed.function}: {len(feed.leases)} leases" for feed in feeds)
    after = monotonic() - started
    return verdict("the hosts share the leases evenly", wrong, f"{shared} (after {after:.0f} s)")


def lease_discrepancies(feeds: Iterable[FeedLag], hosts: set[str]) -> list[str]:
    """Return a line for each lease of nobody, and for each function whose leases are not shared evenly."""
    found: list[str] = []
    for feed in feeds:
        owned = Counter(lease.owner for lease in feed.leases)
        found += [
            f"{feed.function}: {n} leases of {owner}" for owner, n in owned.items() if owner not in hosts
        ]
        fair = -(-len(feed.leases) // max(1, len(hosts)))
        found += [f"{feed.function}: {owner} has {n} leases" for owner, n in owned.items() if n > fair]
        found += [f"{feed.function}: no lease for {uncovered}" for uncovered in feed.uncovered]
    return found


def check_deeds(conductor: Conductor) -> Check:
    """See that the soak was one: that what must happen in each has happened."""
    wrong = [f"no split of {name}" for name in SPLIT_CONTAINERS if not conductor.splits[name]]
    for what, done in (
        ("a host killed", conductor.count(Kind.KILL_HOST, Kind.KILL_BOTH)),
        ("a host stopped", conductor.count(Kind.STOP_HOST)),
        ("the database killed", conductor.count(*KILLS_DATABASE)),
        ("a request struck", conductor.struck),
        ("every feed looked at by the auditor", conductor.looked),
    ):
        if not done:
            wrong.append(f"not once was {what}")
    return verdict("the disturbances took place", wrong, f"{len(conductor.deeds)} of them")


def check_ends(crew: Crew) -> Check:
    """Check that every host that was asked to end did so in its time, with exit code 0."""
    return verdict("hosts end when SIGTERM asks them to", crew.bad_ends)


def check_memory(series: Iterable[Series], writes: int) -> Check:
    """Check that no process grows while it does the same work again, with ``writes`` in each lap."""
    growths = {one.name: growth for one in series if (growth := one.growth(writes)) is not None}
    wrong = [
        f"{name}: {growth:,.0f} bytes per write, more than {BOUND_PER_WRITE:,}"
        for name, growth in growths.items()
        if growth > BOUND_PER_WRITE
    ]
    if not growths:
        wrong.append("no process was there in all laps")
    shown = ", ".join(f"{name} {growth:,.0f}" for name, growth in growths.items())
    return verdict("memory is flat", wrong, f"bytes per write: {shown}")


def check_logs(logs: LogSummary) -> Check:
    """Check that nobody logged an error that the disturbances do not explain."""
    wrong = [
        f"{count} × {event}\n    " + "\n    ".join(logs.examples[event])
        for event, count in logs.unexpected.most_common()
    ]
    return verdict("no error that the disturbances do not explain", wrong)


def check_lost(logs: LogSummary) -> Check:
    """See that hosts lost batches: otherwise an audit had nothing to do."""
    wrong = [] if logs.lost.total() else ["no batch was lost"]
    detail = ", ".join(f"{count} of {function}" for function, count in logs.lost.items() if count)
    return verdict("hosts lost batches", wrong, detail)


def check_cut_short(logs: LogSummary) -> Check:
    """See that kills hit hosts at work: otherwise nothing had to be delivered again."""
    wrong = [] if logs.cut_short.total() else ["no invocation was cut short by a kill"]
    total, cut = logs.invocations.total(), logs.cut_short.total()
    return verdict("kills cut invocations short", wrong, f"{cut} of {total:,}")
