"""Errors are counted by event, and only those that the disturbances explain are expected."""

from __future__ import annotations

import json
from pathlib import Path

from tests.soak.logs import LogSummary, read_logs


def line(event: str, level: str = "error", **fields: object) -> str:
    return json.dumps({"event": event, "level": level, **fields}) + "\n"


def taken(*lines: str, frozen: bool = False) -> LogSummary:
    summary = LogSummary()
    summary.read("host-1", lines, frozen=frozen)
    return summary


def test_faults_and_malformed_documents_explain_errors() -> None:
    summary = taken(
        line("invocation_failed", error_type="ServiceRequestError"),
        line("invocation_failed", error_type="ServiceRequestError"),
        line("document_poisoned", error_type="DocumentError"),
        line("lease_lost", "warning"),
        line("host_started", "info"),
    )
    assert summary.expected == {
        "invocation_failed (ServiceRequestError)": 2,
        "document_poisoned (DocumentError)": 1,
    }
    assert summary.warnings == {"lease_lost": 1}
    assert not summary.unexpected


def test_anything_else_is_unexpected_and_shown() -> None:
    summary = taken(
        line("invocation_failed", error_type="KeyError", where=["fold.py:1"]),
        line("request_failed"),
        line("trigger_failed", "critical", error_type="ValueError"),
        line("document_poisoned", error_type="ZeroDivisionError"),
        "Traceback (most recent call last):\n",
    )
    assert summary.unexpected.total() == 5
    assert not summary.expected
    assert "fold.py:1" in summary.examples["invocation_failed (KeyError)"][0]
    assert "Traceback" in summary.examples["host-1: not a JSON line"][0]


def test_only_a_frozen_host_may_have_a_blocked_loop() -> None:
    blocked = line("event_loop_blocked")
    assert taken(blocked).unexpected.total() == 1
    assert taken(blocked, frozen=True).expected.total() == 1


def test_what_the_auditor_repairs_meanwhile_is_summed() -> None:
    assert (
        taken(line("feed_audited", "warning", repaired=2), line("feed_audited", "info", repaired=0)).repaired
        == 2
    )


def test_logs_are_read_without_lines_that_a_kill_cut_off(tmp_path: Path) -> None:
    (tmp_path / "host-1.1.log").write_text(line("request_failed") + '{"event": "half')
    (tmp_path / "host-2.1.log").write_text(line("event_loop_blocked"))
    (tmp_path / "azurite.log").write_text("its own words\n")
    assert read_logs(tmp_path, frozen=["host-2.1"], killed=[]).unexpected == {"request_failed": 1}


def test_invocations_that_a_kill_cut_short_are_those_without_an_end() -> None:
    def began(name: str, event: str = "invocation_started") -> str:
        return line(event, "info", function="fold", invocation_id=name)

    summary = taken(began("a"), began("b"), began("a", "invocation_succeeded"), began("c"))
    assert (summary.invocations, summary.cut_short) == ({"fold": 1}, {"fold": 2})


def test_a_host_may_only_have_died_that_was_killed() -> None:
    summary = LogSummary(killed={7})
    summary.read("host-1", [line("host_died", pid=7), line("host_died", pid=8)])
    assert (summary.expected, summary.unexpected) == ({"host_died": 1}, {"host_died": 1})
