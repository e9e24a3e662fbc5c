"""What ``fleet doctor`` says of clocks, packages and settings."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ops import checkup
from ops.__main__ import cli
from ops.checkup import CLOCK_PROBLEM, CLOCK_WARNING, Finding, Verdict, check_versions, clock_finding
from ops.checkup_settings import check_settings, check_storage
from shared.settings import Settings, load_settings

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


@given(ahead=st.floats(-2_000, 2_000), way=st.floats(0, 5), back=st.floats(0, 5))
def test_a_clock_is_judged_by_how_far_it_must_be_off(ahead: float, way: float, back: float) -> None:
    asked = NOON + timedelta(seconds=ahead)
    its = NOON + timedelta(seconds=way)
    finding = clock_finding(its.replace(microsecond=0), asked, asked + timedelta(seconds=way + back))
    off = abs(ahead)
    if off < CLOCK_WARNING:
        assert finding.verdict is Verdict.OK
    if off > CLOCK_WARNING + 6:
        assert finding.verdict is not Verdict.OK
        assert ("ahead of" if ahead > 0 else "behind") in finding.text
    if off > CLOCK_PROBLEM + 6:
        assert finding.verdict is Verdict.PROBLEM


def test_packages_that_differ_from_the_lock_are_named(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text(
        "# written\n"
        "typer==0.0.1 \\\n    --hash=sha256:00\n"
        "no-such-package==1.0 ; python_version >= '3.11' \\\n    --hash=sha256:00\n"
        "not-for-this==1.0 ; python_version < '3.0'\n"
    )
    *_, packages = check_versions(lock)
    assert packages.verdict is Verdict.WARNING
    assert "no-such-package is missing, not 1.0; typer is " in packages.text
    assert "not-for-this" not in packages.text


@pytest.mark.parametrize(("version", "verdict"), [((3, 10), "problem"), ((3, 12), "ok"), ((4, 0), "problem")])
def test_versions_of_python_without_tests_are_a_problem(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], verdict: str
) -> None:
    monkeypatch.setattr(checkup.sys, "version_info", version)
    python, *_ = check_versions()
    assert python.verdict == verdict


def test_an_account_that_does_not_answer_ends_with_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CosmosDb", "AccountEndpoint=http://127.0.0.1:9/;AccountKey=c2VjcmV0;")
    ended = CliRunner().invoke(cli, ["doctor"])
    assert ended.exit_code == 3
    assert "It does not answer" in ended.stdout
    assert "c2VjcmV0" not in ended.output


def test_a_key_that_is_not_base64_is_one_line_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CosmosDb", "AccountEndpoint=http://127.0.0.1:9/;AccountKey=c2VjcmV0a;")
    ended = CliRunner().invoke(cli, ["doctor", "--json"])
    assert ended.exit_code == 2
    [finding] = [each for each in json.loads(ended.stdout) if each["verdict"] == "problem"]
    assert finding["text"].startswith("The setting CosmosDb is not a connection string")
    assert finding["remedy"]
    assert "c2VjcmV0" not in ended.output


def test_a_fleet_without_keys_of_hashes_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def keys() -> Finding:
        return list(check_settings(load_settings(need_account=False)))[-1]

    assert keys().verdict is Verdict.OK
    monkeypatch.delenv("FLEET_HASH_KEYS")
    assert keys().verdict is Verdict.PROBLEM
    assert keys().text.startswith("The setting FLEET_HASH_KEYS must be set")


STORAGE = "DefaultEndpointsProtocol=http;AccountName=a;BlobEndpoint=http://127.0.0.1:9/a;AccountKey="


@pytest.mark.parametrize(
    ("text", "verdict", "says"),
    [
        ("", Verdict.WARNING, "No blob storage is set"),
        ("nothing", Verdict.PROBLEM, "The setting ArchiveStorage is not a connection string"),
        (f"{STORAGE}c2VjcmV0a;", Verdict.PROBLEM, "The setting ArchiveStorage is not a connection string"),
        (f"{STORAGE}c2VjcmV0;", Verdict.PROBLEM, "It does not answer"),
    ],
)
async def test_blob_storage_is_looked_at(text: str, verdict: Verdict, says: str) -> None:
    [finding] = await check_storage(Settings(ArchiveStorage=text))
    assert finding.verdict is verdict
    assert finding.text.startswith(says)
    assert finding.remedy
    assert "c2VjcmV0" not in finding.text
