"""What must hold when a soak is over, each compared on its own so that one failure hides no other."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from local.host.lag import FeedLag, LagMeter
from local.processes import ROOT
from shared.fleet import connected_fleet
from shared.settings import Settings
from tests.acceptance.fleet import RunningFleet
from tests.corrections import Document
from tests.independent import assert_views_equal, is_malformed
from tests.soak.conductor import Conductor
from tests.soak.crew import Crew
from tests.soak.logs import LogSummary
from tests.soak.memory import Series
from tests.soak.plan import KILLS_DATABASE, SPLIT_CONTAINERS, Kind
from tests.soak.traffic import Book, Key, key_of

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
    """Compare sources, views and poison with what was written."""
    documents = await fleet.all_of("user_interactions")
    rows = await fleet.all_of("poison_messages")
    daily, people = await fleet.all_of("daily_metrics"), await fleet.all_of("user_analytics")
    malformed = sum(map(is_malformed, documents))
    return [
        verdict(
            "the database holds every acknowledged write",
            book.discrepancies(documents),
            f"{len(documents):,} documents",
        ),
        _views(daily, people, documents, len(documents) - malformed),
        verdict(
            "every malformed document is in poison once",
            poison_discrepancies(rows, documents, book.damaged),
            f"{malformed} documents, {len(rows) - malformed} more were repaired since",
        ),
    ]


def _views(daily: list[Document], people: list[Document], documents: list[Document], good: int) -> Check:
    what = "the views equal an independent computation"
    try:
        assert_views_equal(daily, people, documents)
    except AssertionError as difference:
        return Check(what, False, str(difference))
    return Check(what, True, f"{len(daily)} days, {len(people)} months of people, {good:,} good documents")


def poison_discrepancies(
    rows: Iterable[Document], documents: Iterable[Document], damaged: set[Key]
) -> list[str]:
    """Return a line for each malformed document without exactly one row, and for each row without reason."""
    found: list[str] = []
    by_document: defaultdict[Key, list[Document]] = defaultdict(list)
    for row in rows:
        original = row["original_document"]
        if row["source_container"] != "user_interactions" or not isinstance(original, dict):
            found.append(f"a row of {row['source_container']}: {row['error_type']} {row['error_message']}")
            continue
        by_document[key_of(original)].append(row)
    for document in documents:
        key = key_of(document)
        own = by_document.pop(key, [])
        if len(own) > 1:
            found.append(f"{key}: has {len(own)} rows")
        if not is_malformed(document):
            if own and key not in damaged:
                found.append(f"{key}: has a row and was never malformed")
        elif not own:
            found.append(f"{key}: is malformed and has no row")
        elif own[0]["source_etag"] != document["_etag"] or own[0]["status"] != "pending":
            found.append(f"{key}: its row is of another version, or {own[0]['status']}")
    found.extend(f"{key}: has a row and is not there" for key in by_document)
    return found


async def check_audit(fleet: RunningFleet) -> Check:
    """Let the auditor go over everything: there must be nothing to repair."""
    async with connected_fleet(Settings(**fleet.stack.settings)) as audit:
        reports = await audit.auditor.audit_all(delay_seconds=0)
    wrong = [f"{report.feed}: {report.repaired} repaired" for report in reports if report.repaired]
    wrong += [f"{report.feed}: not looked through in time" for report in reports if not report.caught_up]
    looked = ", ".join(f"{report.documents:,} of {report.feed}" for report in reports)
    return verdict("an audit has nothing to repair", wrong, f"looked at {looked}")


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
    ):
        if not done:
            wrong.append(f"not once was {what}")
    return verdict("the disturbances took place", wrong, f"{len(conductor.deeds)} of them")


def check_ends(crew: Crew) -> Check:
    """Check that every host that was asked to end did so in its time, with exit code 0."""
    return verdict("hosts end when SIGTERM asks them to", crew.bad_ends)


def check_memory(series: Iterable[Series], required: Iterable[str] = ()) -> Check:
    """Check the trends of those processes that lived long enough.

    Parameters
    ----------
    required
        Processes of which at least one life must have been long enough.
    """
    all_of_them = list(series)
    judged = [one for one in all_of_them if one.flat() is not None]
    wrong = [
        f"{one.name}: {one.trend():.2f} MB per minute, more than {one.bound:g}"
        for one in judged
        if not one.flat()
    ]
    long_lived = {one.name.partition(".")[0] for one in judged}
    wrong += [f"{name}: no life was long enough to be judged" for name in required if name not in long_lived]
    short = len(all_of_them) - len(judged)
    return verdict("memory is flat", wrong, f"{len(judged)} processes; {short} lived too short to be judged")


def check_logs(logs: LogSummary) -> Check:
    """Check that nobody logged an error that the disturbances do not explain."""
    wrong = [
        f"{count} × {event}\n    " + "\n    ".join(logs.examples[event])
        for event, count in logs.unexpected.most_common()
    ]
    return verdict("no error that the disturbances do not explain", wrong)


def check_cut_short(logs: LogSummary) -> Check:
    """See that kills hit hosts at work: otherwise nothing had to be delivered again."""
    wrong = [] if logs.cut_short.total() else ["no invocation was cut short by a kill"]
    total, cut = logs.invocations.total(), logs.cut_short.total()
    return verdict("kills cut invocations short", wrong, f"{cut} of {total:,}")
