"""A person is erased from the real stack, down to its files: while they write, by commands that die."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import zipfile
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from local.seed.traffic import TrafficPlan, writes
from shared.containers import CATALOGUE
from shared.people.erasure import Step
from tests.acceptance.commands import PATIENCE, ROOT, environment, operated
from tests.acceptance.fleet import RunningFleet, running_fleet
from tests.moved_clock import NOW, moved_clock, set_clock
from tests.unit.shared.people.world import account, incident, interaction, session

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(420)]

PERSON = "forgetme-4711"
TRACES = (PERSON, f"{PERSON}@example.org", "zwiebelkuchen", "apfelstrudel")
"""The person's id and address, and words of what they asked and were answered."""

ERASE = ("people", "erase", PERSON, "--reason", "person")
SOURCES = ("users", "user_sessions", "user_interactions", "abuse_incidents")
DAY = "2025-08-20"


def at(minute: int) -> str:
    return f"{DAY}T09:{minute % 60:02d}:00Z"


def asked(number: int, when: str, **more: Any) -> dict[str, Any]:
    texts = {"user_query": "How is zwiebelkuchen made?", "response_text": "As apfelstrudel is."}
    return interaction(PERSON, number, when, **texts, **more)


async def _write_person(fleet: RunningFleet) -> None:
    """Write everything that a person can have, and a document that goes to poison."""
    documents = {
        "users": [account(PERSON)],
        "user_sessions": [session(PERSON, number, at(number)) for number in range(3)],
        "user_interactions": [*(asked(number, at(number)) for number in range(8)), asked(99, "whenever")],
        "abuse_incidents": [incident(PERSON, number, created_at=at(number)) for number in range(2)],
    }
    for name, of in documents.items():
        for document in of:
            await fleet.database.get_container_client(name).upsert_item(document)


def _start(fleet: RunningFleet, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ops", *arguments],
        cwd=ROOT,
        env=environment(**fleet.stack.settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def _command(fleet: RunningFleet, *arguments: str, code: int = 0) -> Any:
    ended = await operated(fleet.stack.settings, *arguments, "--json")
    assert ended.exit_code == code, ended.output
    return json.loads(ended.stdout) if ended.stdout else ended.stderr


async def _killed(fleet: RunningFleet, step: int) -> bool:
    """Begin the erasure, or continue it, and kill the command with -9 when a step is to be done.

    Returns
    -------
    bool
        Whether it was still at work. Between the look at its request and the signal it may just end.
    """
    process = _start(fleet, *ERASE)
    requests = fleet.database.get_container_client("fleet_state")
    reached = "SELECT c.id FROM c WHERE c.kind = 'erase' AND c.step >= @step"
    values = [{"name": "@step", "value": step}]
    for _ in range(PATIENCE * 50):
        found = requests.query_items(reached, parameters=values, partition_key="people")
        if [each async for each in found]:
            break
        await asyncio.sleep(0.02)
    else:
        process.kill()
        raise AssertionError(f"the erasure did not come to step {step}: {process.communicate()}")
    process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(process.communicate, timeout=PATIENCE)
    return process.returncode == -signal.SIGKILL


async def _keep_writing(fleet: RunningFleet) -> None:
    for number in count():
        await fleet.interactions.upsert_item(asked(number % 12, at(number), user_rating=number % 5 + 1))
        await asyncio.sleep(0.05)


def _traces_in(files: Any) -> list[str]:
    return [
        f"{file.name}: {trace}"
        for file in files
        if file.is_file()
        for trace in TRACES
        if trace.encode() in file.read_bytes() or trace in file.name
    ]


async def test_nothing_of_an_erased_person_is_left_in_the_stack_and_its_files(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with moved_clock():
        async with running_fleet(data, instances=2) as fleet:
            plan = TrafficPlan(users=4, interactions=60, days=4, seed=7, malformed_share=0)
            await fleet.write(write.document for write in writes(plan))
            await _write_person(fleet)
            await fleet.drain()
            set_clock(NOW + timedelta(days=2))
            await fleet.publish_scheduled()  # what counts people counts this one too
            await _command(fleet, "archive", "run", "--older-than", "1")
            await _export(fleet, tmp_path)
            found = (await _command(fleet, *ERASE, "--dry-run"))["found"]
            assert {*SOURCES, "user_analytics"} <= set(found)
            assert found["poison_messages"] >= 1
            assert found["archive"] >= 8
            assert found["exports"] == 1

            writing = asyncio.create_task(_keep_writing(fleet))
            killed = [await _killed(fleet, step) for step in range(Step.TOMBSTONE, Step.VERIFY)]
            assert sum(killed) >= len(killed) - 1
            writing.cancel()
            set_clock(NOW + timedelta(days=2, minutes=5))
            await _killed(fleet, Step.VERIFY)
            audit = await _command(fleet, *ERASE)
            assert audit["status"] == "done"
            assert await _command(fleet, "people", "status", audit["id"]) == audit
            await fleet.drain()

            documents = await fleet.assert_views_are_right()
            assert documents
            for container in CATALOGUE:
                stored = await fleet.all_of(container.name)
                assert not [each["id"] for each in stored if any(trace in repr(each) for trace in TRACES)]
            assert (await _command(fleet, *ERASE, "--dry-run"))["found"] == {}
            logs = [*fleet.stack.logs.iterdir()]
        async with running_fleet(data, instances=1) as fleet:  # a start moves what logs of databases hold
            await fleet.drain()
            assert (await _command(fleet, "people", "status", audit["id"]))["status"] == "done"
    assert logs
    # Azurite deletes a file of blobs when no blob in it is left: see docs/how-to/export-or-erase-a-person.md.
    files = [file for file in data.rglob("*") if "__blobstorage__" not in file.parts]
    assert {"cosmos.sqlite3", "__azurite_db_blob__.json"} <= {file.name for file in files}
    assert _traces_in(files) == []


async def _export(fleet: RunningFleet, folder: Path) -> None:
    file = folder / "export.zip"
    audit = await _command(fleet, "people", "export", PERSON, "--to", str(file))
    assert audit["counts"]["conversations.json"] == 9
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name).decode() for name in archive.namelist()}
    conversations = json.loads(content["conversations.json"])
    assert {each["user_query"] for each in conversations} == {"How is zwiebelkuchen made?"}
    assert json.loads(content["archived.json"])
    whole = "".join(content.values())
    for hidden in (f"token-of-{PERSON}", f"Notes about {PERSON}", "reviewer-7"):
        assert hidden not in whole
    file.unlink()
    linked = await _command(fleet, "people", "export", PERSON, "--to", "blob")
    assert linked["link"].startswith("http://127.0.0.1:")
    assert PERSON not in linked["link"]
