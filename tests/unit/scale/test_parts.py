"""The parts of a run at scale that need no stack: traffic, logs, sizes, charges, and what must hold."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from local.seed.traffic import writes
from local.seed.writer import SeedSummary, Written
from tests.scale.__main__ import app
from tests.scale.charges import in_words, news, units_by
from tests.scale.figures import Comparison, compare, shortened, slim
from tests.scale.logs import HostLogs
from tests.scale.plan import MOST_DOCUMENT_BYTES, MOST_HOST_BYTES, ScalePlan
from tests.scale.report import ScaleReport, print_report
from tests.scale.sizes import Sizes, kind_of

PLAN = ScalePlan(10, 20, 3, 2, 64, 1, 10, 900.0)


def test_the_traffic_is_of_the_days_up_to_yesterday_and_has_nothing_malformed() -> None:
    found = list(writes(PLAN.traffic(date(2026, 3, 2))))
    created = [write.document for write in found if write.kind == "create"]
    assert len(created) == 60
    assert {document["timestamp"][:10] for document in created} <= {"2026-02-27", "2026-02-28", "2026-03-01"}
    assert not any(write.defect for write in found)


def line(event: str, **fields: Any) -> str:
    return json.dumps({"event": event, "level": "info", **fields}) + "\n"


def read(*lines: str) -> HostLogs:
    logs = HostLogs()
    logs.read(lines)
    return logs


def test_the_logs_tell_the_longest_invocation_of_each_function() -> None:
    logs = read(
        line("invocation_started", function="fold"),
        line("invocation_succeeded", function="fold", duration_ms=1_500.0),
        line("invocation_failed", function="fold", duration_ms=500.0),
        line("invocation_succeeded", function="publish", duration_ms=61_000.0),
        "Traceback of something\n",
        line("invocation_succeeded", function="cut", duration_ms=1.0)[:-4],
    )
    assert logs.functions.keys() == {"fold", "publish"}
    assert logs.functions["fold"].as_json() == {
        "count": 2,
        "failed": 1,
        "longest_seconds": 1.5,
        "total_seconds": 2.0,
    }
    assert logs.longest == ("publish", 61.0)
    assert read().longest == ("", 0.0)


def test_the_logs_tell_what_was_folded_and_what_went_wrong() -> None:
    logs = read(
        line("batch_folded", documents=10, oldest_age_s=3),
        line("batch_folded", documents=5, oldest_age_s=None),
        json.dumps({"event": "view_poisoned", "level": "error"}) + "\n",
    )
    assert (logs.folded, logs.oldest_seconds, logs.errors) == (15, 3, {"view_poisoned": 1})


@pytest.mark.parametrize(
    ("document_id", "kind"),
    [
        ("partial|day|2026-01-31", "partial|day"),
        ("ledger|user_interactions|2026-01-31T05", "ledger|user_interactions"),
        ("usage|9f3a", "usage"),
        ("user_analytics_0a1b_202601", "document"),
        ("0a1b", "document"),
    ],
)
def test_an_id_says_what_it_is_an_id_of(document_id: str, kind: str) -> None:
    assert kind_of(document_id) == kind


@given(st.lists(st.integers(0, 3_000), min_size=1))
def test_the_largest_document_is_the_largest_of_any_kind(lengths: list[int]) -> None:
    sizes = Sizes()
    for number, length in enumerate(lengths):
        sizes.add({"id": f"{'partial' if number % 2 else 'usage'}|{number:06}", "text": "a" * length})
    around = len('{"id":"usage|000000","text":""}'), len('{"id":"partial|000000","text":""}')
    whole = [around[number % 2] + length for number, length in enumerate(lengths)]
    assert sizes.most[1] == max(whole)
    assert (sizes.documents, sizes.total_bytes) == (len(lengths), sum(whole))


def account(client: str, container: str, operation: str, requests: int, units: float) -> dict[str, Any]:
    return {
        "client": client,
        "container": container,
        "operation": operation,
        "requests": requests,
        "request_units": units,
    }


BOOKS = [
    account("vimarsh-fleet", "view_state", "batch", 10, 100.0),
    account("vimarsh-fleet", "fleet_state", "upsert", 10, 50.0),
    account("vimarsh-host", "user_interactions", "change_feed", 10, 10.0),
    account("vimarsh-ops", "daily_metrics", "replace", 2, 20.0),
    account("scale-writer", "user_interactions", "create", 99, 999.0),
]


def test_only_what_the_fleet_spends_counts() -> None:
    assert units_by(BOOKS, "container") == {
        "view_state": 100.0,
        "fleet_state": 50.0,
        "daily_metrics": 20.0,
        "user_interactions": 10.0,
    }
    assert list(units_by(BOOKS, "client")) == ["vimarsh-fleet", "vimarsh-ops", "vimarsh-host"]


def test_progress_leases_and_reads_are_no_news() -> None:
    assert news(BOOKS) == Counter(view_state=10, daily_metrics=2)
    assert in_words(news(BOOKS)) == "10 in view_state, 2 in daily_metrics"
    assert in_words(Counter()) == "nothing"


def test_long_texts_do_not_matter_to_the_comparison() -> None:
    assert slim({"id": "a", "user_query": "why", "response_text": "", "session_id": "s"}) == {
        "id": "a",
        "user_query": "w",
        "response_text": "",
        "session_id": "s",
    }
    assert slim({"id": "a", "response_text": None}) == {"id": "a", "response_text": None}


EMPTY: dict[str, list[dict[str, Any]]] = {
    name: []
    for name in (
        "daily_metrics", "user_analytics", "engagement_summary", "content_popularity", "content_analytics",
        "incidents_by_content",
    )
}  # fmt: skip


def test_what_is_not_published_is_a_difference() -> None:
    documents = [write.document for write in writes(PLAN.traffic(date(2026, 3, 2)))]
    latest = {document["id"]: document for document in documents}
    found = compare(EMPTY, {"user_interactions": list(latest.values())}, sample=3, seed=1)
    assert (found.people, found.of) == (3, 10)
    missing = [text for text in found.differences if "user_analytics" in text]
    people = {text.split("'")[1] for text in missing}
    assert len(people) == 3
    assert any(text.startswith("daily_metrics 2026-02-28") for text in found.differences)
    again = compare(EMPTY, {"user_interactions": list(latest.values())}, sample=3, seed=1)
    assert again.differences == found.differences


def test_many_differences_are_shortened() -> None:
    assert shortened(["a", "b"], 2) == ["a", "b"]
    assert shortened(["a", "b", "c"], 2) == ["a", "b", "… and 1 more"]


def good_report() -> ScaleReport:
    report = ScaleReport(PLAN)
    report.written = SeedSummary(created=60, replaced=10)
    report.written.beside["user_sessions"] = Written(created=20, replaced=20)
    report.written.beside["personality_vectors"] = Written(created=500)
    report.stages = {"write": 8.0, "drain": 3.0, "timers": 5.0}
    report.due.rounds, report.due.settled, report.due.refreshes = 2, True, [3.0]
    report.hosts = {"host-1": MOST_HOST_BYTES - 1}
    report.logs = read(line("invocation_succeeded", function="fold", duration_ms=60_000.0))
    report.charges = BOOKS
    report.sizes = {
        "view_state": Sizes(1, 10, {"partial|day": MOST_DOCUMENT_BYTES}),
        "poison_messages": Sizes(),
    }
    report.comparison = Comparison([], 100, 10, 10)
    return report


def failing(report: ScaleReport) -> list[str]:
    return [check.what for check in report.checks if not check.holds]


def test_limits_that_are_just_kept_hold() -> None:
    report = good_report()
    assert failing(report) == []
    assert report.holds
    assert report.changes == 110
    assert report.changes_per_second == 10.0
    facts = json.loads(json.dumps(report.as_json()))
    assert facts["request_units"]["per_change"] == round(180 / 110, 2)
    console = Console(record=True, width=150, file=StringIO())
    print_report(report, console)
    assert "Every limit is kept" in console.export_text()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda r: setattr(r, "late", "not everything was published within 900 s"), "within 900 s"),
        (lambda r: setattr(r.due, "settled", False), "nothing left to do"),
        (lambda r: r.due.failures.append("refresh_views failed on host-1"), "nothing left to do"),
        (lambda r: r.hosts.update({"host-2": MOST_HOST_BYTES}), "host-2 stays below 350 MB"),
        (lambda r: r.hosts.update({"host-2": None}), "host-2 stays below 350 MB"),
        (lambda r: r.logs.read([line("invocation_succeeded", function="f", duration_ms=60_001.0)]), "60 s"),
        (lambda r: r.logs.read([line("invocation_failed", function="f", duration_ms=1.0)]), "fails"),
        (lambda r: setattr(r, "logs", HostLogs()), "no invocation takes more than 60 s"),
        (lambda r: r.sizes["view_state"].largest.update(x=MOST_DOCUMENT_BYTES + 1), "larger than 512 KB"),
        (lambda r: setattr(r.sizes["poison_messages"], "documents", 1), "nothing is in poison"),
        (lambda r: r.sizes.pop("poison_messages"), "nothing is in poison"),
        (lambda r: setattr(r, "comparison", None), "independent computation"),
        (lambda r: r.comparison.differences.append("daily_metrics …"), "independent computation"),
    ],
)  # fmt: skip
def test_each_limit_that_is_not_kept_is_named(change: Any, what: str) -> None:
    report = good_report()
    change(report)
    (found,) = failing(report)
    assert what in found
    assert not report.holds


@pytest.mark.parametrize(
    "arguments", [["--people", "0"], ["--instances", "0"], ["--shards", "none"], ["--unknown"]]
)
def test_wrong_usage_ends_with_code_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_a_directory_with_a_database_is_refused(tmp_path: Any) -> None:
    (tmp_path / "cosmos").mkdir()
    result = CliRunner().invoke(app, ["--data", str(tmp_path)])
    assert result.exit_code == 2
    assert "holds a database already" in result.output
