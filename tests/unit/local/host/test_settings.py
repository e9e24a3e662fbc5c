"""App settings, placeholders and host.json are read as the platform reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local.host.errors import HostStartError
from local.host.settings import (
    load_app_settings,
    load_host_json,
    parse_time_span,
    resolve_placeholders,
)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    values = {"A": "file", "B": "file", "N": 5}
    (tmp_path / "local.settings.json").write_text(json.dumps({"IsEncrypted": False, "Values": values}))
    settings = load_app_settings(tmp_path, {"A": "environment"})
    assert settings == {"A": "environment", "B": "file", "N": "5"}


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("{", "not valid JSON"),
        ("[]", "JSON object"),
        ('{"IsEncrypted": true}', "encrypted"),
        ('{"Values": {"A": {}}}', "A"),
        ('{"Values": []}', "Values"),
    ],
)
def test_a_bad_settings_file_is_named(tmp_path: Path, content: str, word: str) -> None:
    (tmp_path / "local.settings.json").write_text(content)
    with pytest.raises(HostStartError, match=word) as caught:
        load_app_settings(tmp_path, {})
    assert "local.settings.json" in str(caught.value)


def test_placeholders() -> None:
    settings = {"DB": "main", "ENV": "dev"}
    assert resolve_placeholders("%DB%", settings, where="x") == "main"
    assert resolve_placeholders("a-%DB%-%ENV%", settings, where="x") == "a-main-dev"
    assert resolve_placeholders("100 % sure", settings, where="x") == "100 % sure"


@pytest.mark.parametrize("settings", [{}, {"DB": ""}])
def test_a_missing_setting_is_named_with_its_use(settings: dict[str, str]) -> None:
    sentence = r"The setting DB is not set; databaseName of function fold is '%DB%'.*has to be an app setting"
    with pytest.raises(HostStartError, match=sentence):
        resolve_placeholders("%DB%", settings, where="databaseName of function fold")


@pytest.mark.parametrize(("text", "seconds"), [("00:10:00", 600), ("1.02:03:04.5", 93_784.5), ("0:0:7", 7)])
def test_time_spans(text: str, seconds: float) -> None:
    assert parse_time_span(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "00:60:00", "00:00:60", "-00:00:01", "24:59:99", "1:2"])
def test_bad_time_spans(text: str) -> None:
    with pytest.raises(ValueError, match="time span"):
        parse_time_span(text)


def write(folder: Path, document: Any) -> Path:
    (folder / "host.json").write_text(json.dumps(document))
    return folder


def test_host_json_defaults(tmp_path: Path) -> None:
    read = load_host_json(write(tmp_path, {"version": "2.0"}))
    assert (read.route_prefix, read.function_timeout, read.log_levels) == ("api", 300, {"default": "INFO"})


def test_host_json_values(tmp_path: Path) -> None:
    document = {
        "version": "2.0",
        "functionTimeout": "00:05:00",
        "extensions": {
            "http": {"routePrefix": "", "maxConcurrentRequests": 7},
            "cosmosDB": {"userAgentSuffix": "fleet"},
        },
        "logging": {"logLevel": {"default": "Warning", "Function": "Debug"}},
    }
    read = load_host_json(write(tmp_path, document))
    assert (read.route_prefix, read.function_timeout, read.max_concurrent_requests) == ("", 300, 7)
    assert read.user_agent_suffix == "fleet"
    assert read.log_levels == {"default": "WARNING", "Function": "DEBUG"}


def test_an_unlimited_timeout(tmp_path: Path) -> None:
    assert (
        load_host_json(write(tmp_path, {"version": "2.0", "functionTimeout": "-1"})).function_timeout is None
    )


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ({}, "version"),
        ({"version": "2.0", "functionTimeout": "soon"}, "functionTimeout"),
        ({"version": "2.0", "functionTimeout": "00:00:00"}, "functionTimeout"),
        ({"version": "2.0", "extensions": []}, "extensions"),
        ({"version": "2.0", "extensions": {"http": {"maxOutstandingRequests": 0}}}, "maxOutstandingRequests"),
        ({"version": "2.0", "extensions": {"http": {"routePrefix": None}}}, "routePrefix"),
        ({"version": "2.0", "extensions": {"http": {"routePrefix": 5}}}, "routePrefix"),
        ({"version": "2.0", "extensions": {"cosmosDB": {"userAgentSuffix": 5}}}, "userAgentSuffix"),
        ({"version": "2.0", "logging": {"logLevel": {"default": "Loud"}}}, "Loud"),
    ],
)
def test_bad_host_json_names_the_value(tmp_path: Path, document: Any, word: str) -> None:
    with pytest.raises(HostStartError, match=word):
        load_host_json(write(tmp_path, document))


def test_no_host_json(tmp_path: Path) -> None:
    with pytest.raises(HostStartError, match=r"host\.json does not exist"):
        load_host_json(tmp_path)
