"""The load on database servers: it is put on for real, and what is missing is said to be missing."""

from __future__ import annotations

import asyncio
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient
from rich.console import Console

from bench import local_server
from bench.aims import verdicts
from bench.figures import Figures
from bench.load import ITEM_BYTES, Task, encode, item
from bench.load_client import ClientProcess
from bench.load_figures import LoadFigures, Rate, ServerFigures
from bench.load_report import load_table
from bench.local_server import LoadPlan, measure_local_server
from bench.report import print_report
from local.processes import StackError
from tests.cosmos_server import running_server

RATES = {"read": Rate(1_600.0, 0.4), "upsert": Rate(1_400.0, 0.5)}
OURS = ServerFigures("local server", RATES, 100_000_000, 105_000_000)


@pytest.fixture
def one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_server, "CLIENTS", 1)  # each is a process


def _figures(ours: ServerFigures = OURS) -> LoadFigures:
    return LoadFigures(
        100_000, 2, ours, ServerFigures("another", {"read": Rate(700.0)}, unavailable="no upserts")
    )


async def test_both_servers_are_measured_with_the_same_items() -> None:
    told: list[str] = []
    figures = await measure_local_server(LoadPlan(300, 0.3), told.append)
    assert len(told) == 2
    for server in (figures.ours, figures.other):
        assert server.unavailable is None
        assert server.items == 300
        assert set(server.rates) == {"read", "upsert"}
        assert all(rate.per_second > 0 and rate.client_cpu_ms for rate in server.rates.values())
        assert server.rss_seeded
        assert server.rss_after


@pytest.mark.usefixtures(one_client.__name__)
async def test_a_server_that_cannot_be_started_is_a_reason_and_not_an_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(local_server, "ROOT", tmp_path)  # where the npm package is looked for
    figures = await measure_local_server(LoadPlan(10, 0.1), lambda what: None)
    assert figures.ours.unavailable is None
    assert figures.other.unavailable == "it is not installed: run `make setup`"


@pytest.mark.usefixtures(one_client.__name__)
async def test_a_server_that_stores_too_slowly_is_measured_with_fewer_items(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, told = local_server._seed, []

    async def slow(target: Any, items: int) -> None:
        if target.name == local_server.OTHER and items > 3:
            raise TimeoutError
        await store(target, items)

    monkeypatch.setattr(local_server, "_seed", slow)
    figures = await measure_local_server(LoadPlan(30, 0.1), told.append)
    assert (figures.ours.items, figures.other.items) == (30, 3)
    assert figures.ours.unavailable is None
    assert figures.other.unavailable == "it did not store 30 items within 90 s"
    assert figures.other.rates["read"].per_second > 0
    assert told[-1] == "it did not store 30 items within 90 s: 3"


async def test_a_client_that_fails_says_why() -> None:
    task = Task("http://127.0.0.1:9/", "c2VjcmV0", "read", 1, 0.1, 1, 1)
    client = await ClientProcess.start(task)
    try:
        with pytest.raises(StackError, match="connect"):
            await client.answer()
    finally:
        await client.end()


def test_an_item_is_stored_in_about_a_kilobyte(tmp_path: Path) -> None:
    async def stored_bytes(connection_string: str) -> int:
        async with CosmosClient.from_connection_string(connection_string) as client:
            database = await client.create_database("d")
            container = await database.create_container("c", PartitionKey("/pk"))
            return len(json.dumps(await container.create_item(item(7, 123_456)), separators=(",", ":")))

    with running_server(tmp_path) as server:
        assert asyncio.run(stored_bytes(server.connection_string)) == pytest.approx(ITEM_BYTES, rel=0.05)


def test_a_task_survives_the_pipe() -> None:
    task = Task("http://localhost/", "key", "read", 10, 1.5, 4, 3)
    assert Task(**json.loads(encode(task))) == task


def test_what_was_not_possible_is_null_with_its_reason() -> None:
    report = json.loads(json.dumps(_figures().as_json()))
    assert report["other"]["upsert"] is None
    assert report["other"]["read"] == {"per_second": 700.0, "server_cpu_ms": None, "client_cpu_ms": None}
    assert report["other"]["unavailable"] == "no upserts"
    console = Console(record=True, width=120, file=StringIO())
    console.print(load_table(_figures()))
    text = console.export_text()
    assert "–" in text
    assert "another: no upserts" in text


@pytest.mark.parametrize(
    ("ours", "met"),
    [
        (OURS, [True, False, True]),
        (ServerFigures("local server", RATES, 100, 200), [True, False, False]),
        (ServerFigures("local server", RATES), [True, False]),
        (ServerFigures("local server", unavailable="it did not start"), [False, False]),
    ],
)
def test_aims_are_met_or_not(ours: ServerFigures, met: list[bool]) -> None:
    figures = Figures("2 cores", "2026-01-01T00:00:00+00:00", 60.0, False, load=_figures(ours))
    assert [verdict.met for verdict in verdicts(figures)] == met
    console = Console(record=True, width=120, file=StringIO())
    print_report(figures, console)
    assert console.export_text().count("not met") == met.count(False)
