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
    raise ValueError(f"cannot read {len(document)} field")


def test_an_error_is_logged_with_its_lines_and_without_its_variables(
    caplog: pytest.LogCaptureFixture,
) -> None:
    configure_logging("INFO")
    try:
        fail({"email": "ann@example.org"})
    except ValueError:
        structlog.get_logger("shared.test").exception("reading_failed", feed="users")
    (record,) = caplog.records
    entry = json.loads(record.message)
    assert (entry["event"], entry["level"], entry["feed"]) == ("reading_failed", "error", "users")
    (error,) = entry["exception"]
    assert (error["exc_type"], error["exc_value"]) == ("ValueError", "cannot read 1 field")
    assert [frame["name"] for frame in error["frames"]][-1] == "fail"
    assert "ann@example.org" not in record.message


def test_a_level_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="FLEET_LOG_LEVEL 'LOUD' is not a level"):
        configure_logging("LOUD")
