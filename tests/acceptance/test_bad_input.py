"""Bad documents fail alone and by name, odd ones are counted, and wrong settings stop the start."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiohttp
import pytest
from typer.testing import CliRunner

from local.__main__ import app
from shared.fleet.wiring import Fleet, connected_fleet
from shared.pricing.table import parse_price
from shared.settings import Settings, current_settings
from tests.acceptance.commands import environment, local
from tests.acceptance.fleet import RunningFleet, running_fleet
from tests.cosmos_server import ServerProcess, running_server
from tests.independent import Document, is_malformed
from tests.independent import pricing as independent

pytestmark = pytest.mark.acceptance

ABSENT = object()
"""Stands for a field that is left out."""

WORDS = "what weighs on my heart"
"""A question that nobody but the person should read: it must not turn up in an error or a log."""

BAD: dict[str, tuple[Document, str, str]] = {
    "user missing": ({"user_id": ABSENT}, "user_id", "missing"),
    "user null": ({"user_id": None}, "user_id", "None"),
    "user a number": ({"user_id": 4711}, "user_id", "a number"),
    "user empty": ({"user_id": ""}, "user_id", "''"),
    "tokens negative": ({"cost_data": {"input_tokens": -234}}, "cost_data.input_tokens", "-234"),
    "tokens fractional": ({"cost_data": {"output_tokens": 456.5}}, "cost_data.output_tokens", "456.5"),
    "tokens absurd": ({"cost_data": {"output_tokens": 10**15}}, "cost_data.output_tokens", f"{10**15}"),
    "tokens in words": (
        {"cost_data": {"input_tokens": "many"}},
        "cost_data.input_tokens",
        "a text of 4 characters",
    ),
    "tokens true": ({"cost_data": {"input_tokens": True}}, "cost_data.input_tokens", "True"),
    "cost no block": ({"cost_data": "free"}, "cost_data", "a text of 4 characters"),
    "time impossible": ({"timestamp": "2025-02-30T25:61:00Z"}, "timestamp", "2025-02-30T25:61:00Z"),
    "time a number": ({"timestamp": 1754404755}, "timestamp", "1754404755"),
    "time long ago": ({"timestamp": "1850-01-01T00:00:00Z"}, "timestamp", "1850-01-01"),
    "time to come": ({"timestamp": "2099-01-01T00:00:00Z"}, "timestamp", "2099-01-01"),
    "time of a week": ({"timestamp": "2025-W32"}, "timestamp", "a text of 8 characters"),
    "time with another letter": ({"timestamp": "2025-08-05X14:39:15"}, "timestamp", "must be a time"),
    "time missing": ({"timestamp": ABSENT}, "timestamp", "missing"),
    "rating zero": ({"user_rating": 0}, "user_rating", "0"),
    "rating six": ({"user_rating": 6}, "user_rating", "6"),
    "rating between": ({"user_rating": 4.5}, "user_rating", "4.5"),
    "rating in words": ({"user_rating": "five"}, "user_rating", "a text of 4 characters"),
    "version newer": ({"schema_version": "2.0"}, "schema_version", "'2.0'"),
    "version newer and odd": ({"schema_version": "1.2", "cost_data": [1]}, "cost_data", "version 1.2"),
    "version none": ({"schema_version": "latest"}, "schema_version", "a text of 6 characters"),
    "citations no list": (
        {"foundational_texts_used": "2.47"},
        "foundational_texts_used",
        "a text of 4 characters",
    ),
    "citation no object": (
        {"foundational_texts_used": ["2.47"]},
        "foundational_texts_used.0",
        "a text of 4 characters",
    ),
    "enormous text": ({"user_query": (WORDS + " ") * 79_000}, "user_query", "1,896"),
}
"""What is wrong, the field that the error must name, and the value that it must quote."""

NOT_YET = dict.fromkeys(
    (
        "session_id", "user_query", "response_text", "response_time_ms", "response_metadata", "cost_data",
    ),
    ABSENT,
)  # fmt: skip
"""What documents from before there were versions have elsewhere, or under another name."""

ODD: dict[str, Document] = {
    "citation without verse": {"foundational_texts_used": [{"source": "bhagavad_gita", "chapter": 2}]},
    "citation of a whole text": {"foundational_texts_used": [{"source": "dhammapada"}]},
    "citation of nothing": {"foundational_texts_used": [{"relevance_score": 0.5}]},
    "no blocks": {"cost_data": ABSENT, "response_metadata": ABSENT, "session_id": ABSENT},
    "null blocks": {"cost_data": None, "response_metadata": None, "quality_metrics": None},
    "unknown persona": {"response_metadata": {"personality_used": "zarathustra"}},
    "unknown model": {"cost_data": {"input_tokens": 5, "output_tokens": 7, "model_used": "oracle-1"}},
    "whole number as a float": {"cost_data": {"input_tokens": 234.0, "model_used": "gemini-2.5-flash"}},
    "no zone": {"timestamp": "2025-08-05T14:39:15"},
    "another zone": {"timestamp": "2025-08-06T01:00:00+05:30"},
    "created but not timed": {"timestamp": ABSENT, "created_at": "2025-08-07T00:00:00Z"},
    "no answer": {"response_text": ""},
    "no telling whether there was an answer": {"response_text": ABSENT},
    "fields from elsewhere": {"experiment": {"arm": ["b"]}, "schema_version": "1.1"},
    "version with a newer minor number": {"schema_version": "1.2", "mood": {"before": 2}},
    "score just above its range": {"quality_metrics": {"safety_score": 1.0000001}},
    "scores that are none": {
        "quality_metrics": {"safety_score": 1.2, "citation_accuracy": "high"},
        "foundational_texts_used": [{"source": "gita", "chapter": 2.0, "relevance_score": -0.02}],
    },
    "lower-case zone": {"timestamp": "2025-08-05T14:39:15z"},
    "long but bearable": {"user_query": WORDS * 10_000},
    "nested, before versions": NOT_YET
    | {
        "document_type": "interaction",
        "timestamp": "2025-08-05T07:49:41.203884",
        "session_data": None,
        "interaction_data": {
            "session_id": "s2",
            "sequence": 1,
            "user_query": WORDS,
            "personality_used": "krishna",
            "response_text": "…",
            "response_time_ms": 1200,
            "model_used": "gemini-flash",
            "input_tokens": 25,
            "output_tokens": 150,
            "cost_usd": 0.023,
            "user_rating": 4,
            "was_bookmarked": False,
            "content_themes": ["dharma"],
        },
        "analytics_data": None,
    },
    "flat, before versions": NOT_YET
    | {
        "timestamp": "2025-08-12T10:00:00.000001",
        "session_id": "s3",
        "personality_id": "socrates",
        "interaction_type": "chat",
        "user_input": WORDS,
        "ai_response": "…",
        "response_time_ms": 900,
        "user_feedback": 5,
        "feedback_rating": 5,
        "context_data": {
            "model_used": "gemini-flash",
            "input_tokens": 0,
            "output_tokens": 0,
            "cost_usd": 0.0,
            "content_themes": ["philosophy"],
        },
    },
}
"""Unusual documents that are to be counted."""


def interaction(document_id: str, **change: Any) -> Document:
    """Return a document as the web application writes it, changed."""
    document = {
        "id": document_id,
        "user_id": f"person-{document_id}",
        "session_id": "s1",
        "timestamp": "2025-08-05T14:39:15.127Z",
        "user_query": WORDS,
        "response_text": "…",
        "response_time_ms": 1000,
        "response_metadata": {"personality_used": "krishna"},
        "cost_data": {"input_tokens": 100, "output_tokens": 10, "model_used": "gemini-2.5-flash"},
        **change,
    }
    return {name: value for name, value in document.items() if value is not ABSENT}


async def test_bad_documents_go_to_poison_alone_and_odd_ones_are_counted(tmp_path: Path) -> None:
    bad = [interaction(name, **change) for name, (change, _, _) in BAD.items()]
    odd = [interaction(name, **change) for name, change in ODD.items()]
    stamp = {"_ts": 1_760_000_000}  # written in October 2025
    assert [document["id"] for document in bad if not is_malformed(document | stamp)] == []
    assert [document["id"] for document in odd if is_malformed(document | stamp)] == []
    neighbours = [interaction(f"good-{n}", user_id=f"person-{n % 7}") for n in range(3 * len(bad))]
    async with running_fleet(tmp_path, instances=1) as fleet:
        for number, document in enumerate(bad):
            await fleet.write([*neighbours[3 * number : 3 * number + 3], document, *odd[number : number + 1]])
        await fleet.drain()
        documents = await fleet.assert_views_are_right()
        assert len(documents) == 4 * len(bad) + len(odd)
        await fleet.assert_poison_holds_the_malformed(documents)
        rows = {row["document_id"]: row for row in await fleet.all_of("poison_messages")}
    assert rows.keys() == BAD.keys()
    for name, (_, field, value) in BAD.items():
        row = rows[name]
        assert row["error_field"] == field
        assert row["error_message"].startswith(f"{field} ")
        assert value in row["error_message"]
        assert len(row["error_message"]) < 300
        assert WORDS not in row["error_message"] + row["trace"]
        assert (row["attempts"], row["status"], row["requires_manual_review"]) == (3, "pending", True)
        assert row["original_document"]["id"] == name
        assert row["original_truncated"] is False
        assert WORDS not in json.dumps(row)
    logs = "".join(log.read_text() for log in (tmp_path / "logs").glob("host*.log"))
    assert logs.count("document_poisoned") >= len(BAD)
    assert WORDS not in logs
    assert "person-" not in logs


async def test_what_no_container_can_hold_goes_to_poison_too(tmp_path: Path) -> None:
    nameless = interaction("nameless")
    del nameless["id"]
    raws: list[object] = ["a line of text", 7, None, ["a", "list"], nameless, interaction("good")]
    async with running_fleet(tmp_path, instances=0) as fleet, client_of(fleet) as direct:
        report = await direct.ingest.ingest_batch("user_interactions", raws)
        again = await direct.ingest.ingest_batch("user_interactions", raws)
        rows = await fleet.all_of("poison_messages")
    assert (report.counted, again.counted) == (1, 0)
    messages = sorted(row["error_message"] for row in rows)
    assert messages == [
        "document is None; must be an object",
        "document is a list of 2 entries; must be an object",
        "document is a number; must be an object",
        "document is a text of 14 characters; must be an object",
        "id is missing",
    ]
    assert {row["attempts"] for row in rows} == {6}


async def test_an_unknown_model_is_counted_unpriced_until_it_has_a_price(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = {"input_tokens": 1000, "output_tokens": 100, "model_used": "oracle-1"}
    async with running_fleet(tmp_path, instances=1) as fleet:
        await fleet.write(interaction(f"i{n}", cost_data=usage | {"input_tokens": n}) for n in range(20))
        await fleet.write(interaction(f"k{n}", user_id=f"person-i{n}") for n in range(20))
        await fleet.drain()
        await fleet.assert_views_are_right()
        (day,) = await fleet.all_of("daily_metrics")
        assert day["ai_performance"]["unpriced_models"] == {"oracle-1": 20}
        assert day["ai_performance"]["model_performance"]["oracle_1"]["cost_usd"] is None
        async with client_of(fleet) as operator:
            tier = {"input_nano_usd_per_token": 7_000, "output_nano_usd_per_token": 30_000}
            price = {"model": "oracle-1", "effective_from": "2025-01-01", "tiers": [tier]}
            await operator.prices.put(parse_price(price))
            applied = await operator.repricer.apply()
            repeated = await operator.repricer.apply()
        await fleet.drain()
        monkeypatch.setitem(independent.PRICES, "oracle-1", [(independent.ALWAYS, {None: (7.0, None, 30.0)})])
        await fleet.assert_views_are_right()
        (day,) = await fleet.all_of("daily_metrics")
    assert (applied.changed, applied.repriced) == (True, 20)
    assert (repeated.changed, repeated.repriced) == (False, 0)
    assert day["ai_performance"]["unpriced_models"] == {}
    priced = day["ai_performance"]["model_performance"]["oracle_1"]
    assert priced["cost_nano_usd"] == sum(range(20)) * 7_000 + 20 * 100 * 30_000


async def test_an_operator_replays_a_document_once_it_is_corrected(tmp_path: Path) -> None:
    async with running_fleet(tmp_path, instances=1) as fleet, aiohttp.ClientSession() as web:
        await fleet.write([interaction("i1", user_rating=9), interaction("i2")])
        await fleet.drain()
        (row,) = await fleet.all_of("poison_messages")

        async def post(action: str) -> tuple[int, Any]:
            url = f"http://127.0.0.1:{fleet.stack.hosts[0]['http_port']}/api/poison/{row['id']}/{action}"
            keys = json.loads((tmp_path / "host" / "host-keys.json").read_text())
            headers = {"x-functions-key": keys["functionKeys"]["default"]}
            async with web.post(url, json={"by": "night shift"}, headers=headers) as answer:
                return answer.status, await answer.json()

        status, refusal = await post("replay")
        assert status == 409
        assert "user_rating is 9; must be at most 5" in refusal["error"]
        (pending,) = await fleet.all_of("poison_messages")
        assert pending["status"] == "pending"

        await fleet.write([interaction("i1", user_rating=4)])
        status, replayed = await post("replay")
        assert (status, replayed["status"], replayed["status_changed_by"]) == (200, "replayed", "night shift")
        await fleet.drain()  # the feed delivers the corrected document as well
        await fleet.assert_views_are_right()
        (day,) = await fleet.all_of("daily_metrics")
        assert day["usage_statistics"]["total_interactions"] == 2
        assert day["quality_metrics"]["user_satisfaction_avg"] == 4
        (done,) = await fleet.all_of("poison_messages")
        assert (done["status"], done["requires_manual_review"]) == ("replayed", False)
        assert done["status_changed_at"]


def test_wrong_settings_stop_the_start_with_one_sentence_that_names_them(tmp_path: Path) -> None:
    with running_server(tmp_path / "cosmos") as server:
        for number, (settings, named, said) in enumerate(wrong_settings(server)):
            arguments = ("host", "--instance", "wrong", "--data", str(tmp_path / "none"))
            if number not in IN_PROCESSES:
                code, output, errors = started_here(arguments, settings)
            else:
                run = local(*arguments, **settings)
                code, output, errors = run.returncode, run.stdout, run.stderr
            # Without any settings it is a stack that is missing.
            assert (code, output) == (2 if settings else 1, ""), (settings, errors)
            sentence = errors.strip()
            assert named in sentence
            assert said in sentence
            assert len(sentence.splitlines()) == 1
            assert "Traceback" not in sentence
            assert server.key not in sentence


IN_PROCESSES = (0, 2)
"""Without any setting, and with a wrong key, as a user starts it."""


def started_here(arguments: tuple[str, ...], settings: dict[str, str]) -> tuple[int, str, str]:
    """Start in this process, which has imported everything; return exit code, output and errors."""
    current_settings.cache_clear()
    with patch.dict(os.environ, environment(**settings), clear=True):
        ended = CliRunner().invoke(app, list(arguments))
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended.exit_code, ended.stdout, ended.stderr


def wrong_settings(server: ServerProcess) -> list[tuple[dict[str, str], str, str]]:
    """Return settings, the one that the sentence must name, and what it must say of it."""
    right = {"CosmosDb": server.connection_string, "COSMOS_DATABASE": "fleet", "FLEET_GENERATION": "1"}
    other_key = server.key[::-1][2:] + "=="
    return [
        ({}, "CosmosDb", "connection string"),
        (right | {"CosmosDb": "localhost:8081"}, "CosmosDb", "is not a connection string"),
        (
            right | {"CosmosDb": server.connection_string.replace(server.key, other_key)},
            "CosmosDb",
            "refuses",
        ),
        (
            right | {"CosmosDb": server.connection_string.replace(server.key, "a key")},
            "CosmosDb",
            "refuses",
        ),
        (right | {"COSMOS_DATABASE": "nowhere"}, "COSMOS_DATABASE", "'nowhere'"),
        (right | {"FLEET_SHARDS": "many"}, "FLEET_SHARDS", "integer"),
        (right | {"FLEET_LOG_LEVEL": "LOUD"}, "FLEET_LOG_LEVEL", "'LOUD'"),
        (
            {name: value for name, value in right.items() if name != "FLEET_GENERATION"},
            "FLEET_GENERATION",
            "is not set",
        ),
    ]


@asynccontextmanager
async def client_of(fleet: RunningFleet) -> AsyncIterator[Fleet]:
    """Open the fleet in this process, as a function or a command does."""
    async with connected_fleet(Settings(**fleet.stack.settings)) as opened:
        yield opened
