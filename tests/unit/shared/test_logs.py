"""Logs: events and fields, and nothing of the documents that an error came from."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog

from shared.logs import configure_logging


@pytest.fixture(autouse=True)
def configuration() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def fail(document: dict[str, str]) -> None:
    raise ValueError(f"cannot read {document['email']}")


def test_an_error_is_logged_with_its_lines_and_without_its_variables(
    caplog: pytest.LogCaptureFixture,
) -> None:
    configure_logging("INFO")
    document = {"email": "ann@example.org"}
    try:
        fail(document)
    except ValueError:
        structlog.get_logger("shared.test").exception("reading_failed", feed="users")
    (record,) = caplog.records
    entry = json.loads(record.message)
    assert (entry["event"], entry["level"], entry["feed"]) == ("reading_failed", "error", "users")
    assert "in fail" in entry["exception"]
    assert "ValueError in test_logs.py:" in entry["exception"]
    assert "ann@example.org" not in record.message


def test_a_text_is_logged_only_in_a_field_that_may_hold_words(caplog: pytest.LogCaptureFixture) -> None:
    configure_logging("INFO")
    structlog.get_logger("shared.test").info(
        "done", documents=3, view="daily_metrics", user="ann", ids=["ann"]
    )
    entry = json.loads(caplog.records[0].message)
    assert (entry["documents"], entry["view"]) == (3, "daily_metrics")
    assert (entry["user"], entry["ids"]) == ("a text of 3 characters", "a list of 1 entries")


def test_a_level_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="FLEET_LOG_LEVEL 'LOUD' is not a level"):
        configure_logging("LOUD")
