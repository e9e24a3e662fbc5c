"""The host's log: levels per category, and one JSON object a line whoever wrote it."""

from __future__ import annotations

import json
import logging

import pytest

from local.host.logs import configure_logging, describe, feed_log, function_log, log
from tests.unit.local.host.apps import bare_root


def test_categories_have_their_own_levels(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging({"default": "WARNING", "Function": "INFO", "Host.Triggers": "ERROR"})
    log.info("dropped")
    log.warning("host")
    function_log.info("function")
    feed_log.warning("dropped")
    feed_log.error("feed")
    events = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert events == ["host", "function", "feed"]


def test_what_the_app_logs_has_the_same_shape(capsys: pytest.CaptureFixture[str]) -> None:
    with bare_root():
        configure_logging({"default": "INFO"})
        logging.getLogger("app").info("plain %s", "text")
        logging.getLogger("app").warning(json.dumps({"event": "counted", "documents": 3, "level": "info"}))
        logging.getLogger("app").info("{not json")
        logging.getLogger("azure.core").info("a request")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["plain text", "counted", "{not json"]
    assert lines[1]["documents"] == 3
    assert {line["logger"] for line in lines} == {"app"}


def test_an_error_is_described_without_its_whole_text() -> None:
    try:
        raise ValueError("x" * 1_000)
    except ValueError as error:
        fields = describe(error)
    assert fields["error_type"] == "ValueError"
    assert len(fields["error"]) == 300
    assert "test_logs.py" in fields["where"][-1]
