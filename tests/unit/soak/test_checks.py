"""Each check finds what it is there for."""

from __future__ import annotations

from collections import Counter
from typing import Any

from local.host.lag import FeedLag, LeaseLag
from local.host.leases import FeedRange
from tests.soak.checks import check_lost, check_memory, lease_discrepancies, poison_discrepancies, verdict
from tests.soak.logs import LogSummary
from tests.soak.memory import LAPS, MEGABYTE, Series
from tests.soak.traffic import Book, reference_of

GOOD = {
    "id": "good", "user_id": "u", "timestamp": "2025-08-05T14:39:15Z", "_etag": "e1", "_ts": 1_760_000_000,
}  # fmt: skip
BAD = GOOD | {"id": "bad", "user_rating": 9}


def row(document: dict[str, Any], **change: Any) -> dict[str, Any]:
    return {
        "source_container": "user_interactions",
        "source_partition_key": document.get("user_id"),
        "document_id": document["id"],
        "source_etag": document["_etag"],
        "status": "pending",
        "error_type": "DocumentError",
        "error_message": "user_rating is 9; must be at most 5",
        **change,
    }


def lines(*rows: dict[str, Any], damaged: tuple[dict[str, Any], ...] = (), sessions: bool = False) -> str:
    """Compare rows with a good and a bad interaction, and with a bad session if there are ``sessions``."""
    book = Book(damaged={reference_of("user_interactions", document) for document in damaged})
    documents = {"user_interactions": [GOOD, BAD], "user_sessions": [BAD | {"id": "s"}] if sessions else []}
    book.malformed = {reference_of("user_sessions", session) for session in documents["user_sessions"]}
    return "\n".join(poison_discrepancies(rows, documents, book))


def test_one_row_for_each_malformed_document_is_right() -> None:
    assert lines(row(BAD)) == ""
    assert lines(row(BAD), row(GOOD | {"user_rating": 7}), damaged=(GOOD,)) == ""


def test_poison_that_is_missing_double_old_or_without_reason_shows() -> None:
    assert "has no row" in lines()
    assert "has 2 rows" in lines(row(BAD), row(BAD))
    assert "another version" in lines(row(BAD, source_etag="e0"))
    assert "never malformed" in lines(row(BAD), row(GOOD))
    assert "is not there" in lines(row(BAD), row(BAD | {"id": "unknown"}))
    assert "is not there" in lines(row(BAD), row(BAD, source_container="view_state"))


def test_a_document_of_another_source_is_malformed_if_it_was_written_so() -> None:
    session = row(BAD | {"id": "s"}, source_container="user_sessions")
    assert lines(row(BAD), session, sessions=True) == ""
    assert "has no row" in lines(row(BAD), sessions=True)
    assert "is not there" in lines(row(BAD), session)


def feed(*owners: str | None, uncovered: tuple[FeedRange, ...] = ()) -> FeedLag:
    leases = tuple(LeaseLag(str(n), owner, None, 0, True) for n, owner in enumerate(owners))
    return FeedLag("fold", "d", "c", leases, uncovered)


def test_leases_are_owned_by_hosts_that_live_and_shared_evenly() -> None:
    hosts = {"host-1", "host-2"}
    assert lease_discrepancies([feed("host-1", "host-2", "host-1")], hosts) == []
    assert lease_discrepancies([feed("host-1", "host-1")], hosts) == ["fold: host-1 has 2 leases"]
    assert lease_discrepancies([feed("host-1", "host-3")], hosts) == ["fold: 1 leases of host-3"]
    assert lease_discrepancies([feed("host-1", None)], hosts) == ["fold: 1 leases of None"]
    assert len(lease_discrepancies([feed("host-1", uncovered=(FeedRange("", "FF"),))], hosts)) == 1


def grown(name: str, per_lap: int) -> Series:
    return Series(name, 1, laps=[100 * MEGABYTE + number * per_lap for number in range(LAPS)])


def test_memory_that_grows_or_cannot_be_judged_shows() -> None:
    assert check_memory([grown("host-1.1", 0), Series("host-2.1", 1)], 250).holds
    assert "host-1.1: 4,004 bytes" in check_memory([grown("host-1.1", 1_001_000)], 250).detail
    assert not check_memory([Series("host-1.1", 1)], 250).holds


def test_a_soak_in_which_nothing_was_lost_shows() -> None:
    assert not check_lost(LogSummary(lost=Counter({"fold_users": 0}))).holds
    assert check_lost(LogSummary(lost=Counter({"fold_user_interactions": 1}))).holds


def test_a_verdict_lists_a_bounded_number_of_findings() -> None:
    shown = verdict("x", [f"finding {n}" for n in range(100)])
    assert not shown.holds
    assert shown.detail.startswith("100 found:")
    assert shown.detail.endswith("… and 88 more")
