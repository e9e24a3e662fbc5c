"""Values of source documents go where the class of their field allows, and nowhere else.

Every field of every source holds a canary once as a name and once in a sentence, and so do fields that are
not known. Everything that the fleet stores, logs, prints and answers is searched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from zlib import crc32

import aiohttp
import pytest

from shared.containers import FLEET_STATE, POISON_MESSAGES, VIEW_CONTAINERS, VIEW_STATE
from shared.facts import USER_INTERACTIONS, USER_SESSIONS, USERS
from shared.fleet.wiring import connected_fleet
from shared.privacy.classes import Place, may_go
from shared.privacy.fields import field_of
from shared.privacy.forms import fits
from shared.settings import Settings
from tests.acceptance.commands import operated
from tests.acceptance.fleet import RunningFleet, running_fleet
from tests.canaries import canary, found_in, mark_of
from tests.unit.shared.privacy.samples import SAMPLES, Path_, blocks, changed, leaves, named

pytestmark = pytest.mark.acceptance

PEOPLE = [f"person-{number}" for number in range(7)]
"""People who share all that is no canary, and agree to everything."""

SHOWN_EACH = 8
"""After this number of rows one is shown and replayed. All are listed, and searched in the database."""

NO_OBJECT = canary(100_000)
"""In documents that are a text or a list."""

PERSON_VIEWS = {"user_analytics"}

UNTOLD = {Place.ERROR, Place.LOG}
"""Places of numbers and times. A canary is a text."""


RARE = {"query_metadata.query_category"}
"""Names that views about everybody show only if several people share them. A canary is one person's."""

ARRIVE = {
    Place.STATE: {(USER_INTERACTIONS, "session_id"), (USER_SESSIONS, "foundational_texts_accessed")},
    Place.PERSON_VIEW: {(USER_INTERACTIONS, "user_id"), (USER_INTERACTIONS, "query_metadata.query_category")},
    Place.FLEET_VIEW: {(USER_INTERACTIONS, "response_metadata.personality_used")},
}
"""Some fields whose canaries must be found in a place."""


@dataclass(frozen=True, slots=True)
class Written:
    """A canary in one field of a document.

    Attributes
    ----------
    is_refused
        The document has a canary in every field, and a schema version that sends it to poison.
    """

    source: str
    path: str
    text: str
    """The canary, or a text that begins with it."""
    value: object
    document: dict[str, Any]
    is_refused: bool = False

    def may_be_in(self, place: Place) -> bool:
        """Return whether the class of the field, and the form of the value, let the canary go to a place."""
        known = field_of(self.source, self.path)
        if place is Place.FLEET_VIEW and self.path in RARE:
            return False
        return place not in UNTOLD and fits(known.form, self.value) and may_go(known.field_class, place)


def sentence(text: str) -> str:
    """Return a text as a person writes it."""
    return f"{text} told us all about it, {text}@example.org, or call me, please!"


def canaries() -> Iterator[Written]:
    """Yield canaries: in each field, in an unknown field of each object, and in all fields at once."""
    numbers = count()
    for source, sample in SAMPLES.items():
        for path in leaves(sample):
            first, second, third, fourth = (canary(next(numbers)) for _ in range(4))
            yield _written(source, path, first, first)
            yield _written(source, path, sentence(second), second)
            yield _written(source, path, {third: sentence(third)}, third)
            yield _written(source, path, [[fourth]], fourth)
        for path in blocks(sample):
            text = canary(next(numbers))
            yield _written(source, (*path, text), {text: [text]}, text)
        for change in (str, sentence):
            yield from _refused(source, {path: change(canary(next(numbers))) for path in leaves(sample)})


def _written(source: str, path: Path_, value: object, text: str) -> Written:
    return Written(source, named(path), text, value, changed(_sample(source, text), path, value))


def _refused(source: str, values: Mapping[Path_, str]) -> Iterator[Written]:
    document = _sample(source, "".join(values.values()))
    for path, value in values.items():
        document = changed(document, path, value)
    version = "profile_version" if source == USERS else "schema_version"
    document[version] = "9.0"
    for path, value in values.items():
        if path != (version,):
            yield Written(source, named(path), value, value, document, is_refused=True)


def _sample(source: str, seed: str) -> dict[str, Any]:
    """Return a sample of today, with ids that are its own and no canaries."""
    today, number = datetime.now(UTC).date().isoformat(), crc32(seed.encode())
    sample: dict[str, Any] = json.loads(json.dumps(SAMPLES[source]).replace("2025-08-05", today))
    person = f"account-{number}" if source == USERS else PEOPLE[number % len(PEOPLE)]
    sample |= {"id": f"document-{number}", "user_id": person, "partition_key": person}
    for name in {"session_id", "interaction_id", "incident_id"} & sample.keys():
        sample[name] = f"{name}-{number}"
    return sample


def is_storable(written: Written) -> bool:
    """Return whether the database takes the document: its id and partition key must be texts."""
    return all(isinstance(written.document.get(name), str) for name in ("id", "user_id"))


def accounts() -> Iterator[dict[str, Any]]:
    for person in PEOPLE:
        yield SAMPLES["users"] | {"id": person, "user_id": person, "partition_key": person}


async def places(fleet: RunningFleet, data: Path, printed: str) -> Mapping[Place, str]:
    """Return all that the fleet stores, logs and tells, by the place that it belongs to."""
    stored = {
        name: json.dumps(await fleet.all_of(name))
        for name in (VIEW_STATE, FLEET_STATE, "change_feed_leases", *VIEW_CONTAINERS)
    }
    rows = await fleet.all_of(POISON_MESSAGES)
    told = ("error_message", "trace", "error_field", "error_type")
    return {
        Place.STATE: "".join(stored[name] for name in (VIEW_STATE, FLEET_STATE, "change_feed_leases")),
        Place.PERSON_VIEW: "".join(stored[name] for name in PERSON_VIEWS),
        Place.FLEET_VIEW: "".join(stored[name] for name in VIEW_CONTAINERS if name not in PERSON_VIEWS),
        Place.POISON: json.dumps(rows) + printed,
        Place.ERROR: json.dumps([[row[name] for name in told] for row in rows]),
        Place.LOG: "".join(log.read_text() for log in (data / "logs").glob("host*.log")),
    }


async def commands(fleet: RunningFleet, row_ids: list[str]) -> str:
    """Return what the operator's commands print, errors included."""
    lines = [
        "poison list --limit 1000", "poison list --json", "poison groups", "poison groups --json",
        f"poison replay {' '.join(row_ids)}", "views refresh", "audit run", "metrics day", "views list",
        "generations list", *(f"poison show {row_id}" for row_id in row_ids[:3]),
    ]  # fmt: skip
    printed = []
    for line in lines:
        ended = await operated(fleet.stack.settings, *line.split())
        assert ended.exit_code in (0, 1), f"{line}: {ended.output}"
        printed.append(ended.output)
    return "".join(printed)


async def answers(fleet: RunningFleet, data: Path, row_ids: list[str]) -> str:
    """Return what HTTP answers: rows, and refusals of replays."""
    keys = json.loads((data / "host" / "host-keys.json").read_text())
    headers = {"x-functions-key": keys["functionKeys"]["default"]}
    address = f"http://127.0.0.1:{fleet.stack.hosts[0]['http_port']}/api"
    text = ""
    async with aiohttp.ClientSession(headers=headers) as web:
        for path in ("health", "poison?limit=1000", *(f"poison/{row_id}" for row_id in row_ids)):
            async with web.get(f"{address}/{path}") as answer:
                assert answer.status == 200, path
                text += await answer.text()
        for row_id in row_ids:
            async with web.post(f"{address}/poison/{row_id}/replay", json={"by": "test"}) as answer:
                assert answer.status == 409, row_id
                text += await answer.text()
    return text


async def test_no_value_goes_where_its_field_may_not(tmp_path: Path) -> None:
    written = list(canaries())
    outside = [each for each in written if not is_storable(each)]
    async with running_fleet(tmp_path, instances=1) as fleet:
        for account in accounts():
            await fleet.database.get_container_client("users").upsert_item(account)
        await fleet.drain()
        documents = {(each.source, each.document["id"]): each for each in written if is_storable(each)}
        for each in documents.values():
            await fleet.database.get_container_client(each.source).upsert_item(each.document)
        async with connected_fleet(Settings(**fleet.stack.settings)) as direct:
            for source in SAMPLES:
                raws: list[object] = [each.document for each in outside if each.source == source]
                await direct.ingest.ingest_batch(source, [*raws, sentence(NO_OBJECT), [NO_OBJECT]])
        await fleet.drain()
        rows = await fleet.all_of(POISON_MESSAGES)
        row_ids = [row["id"] for row in rows if row["document_id"] is not None][::SHOWN_EACH]
        printed = await commands(fleet, row_ids)
        printed += await answers(fleet, tmp_path, row_ids)
        await fleet.drain()
        found = {place: found_in(text) for place, text in (await places(fleet, tmp_path, printed)).items()}
    by_mark = {mark_of(each.text): each for each in written}
    astray = [
        (place.value, each.source, each.path, each.value)
        for place, marks in found.items()
        for mark, each in by_mark.items()
        if mark in marks and not each.may_be_in(place)
    ]
    assert astray == []
    assert not any(mark_of(NO_OBJECT) in marks for marks in found.values())
    assert_that_values_arrived(by_mark, found)


def assert_that_values_arrived(by_mark: Mapping[str, Written], found: Mapping[Place, set[str]]) -> None:
    """Check that values went to the places that they may go to: else nothing was looked for there."""
    arrived = {
        place: {(each.source, each.path) for mark, each in by_mark.items() if mark in marks}
        for place, marks in found.items()
    }
    for place, some in ARRIVE.items():
        assert some <= arrived[place]
    refused = {mark: each for mark, each in by_mark.items() if each.is_refused}
    assert {mark for mark in refused if mark in found[Place.POISON]} == {
        mark for mark, each in refused.items() if each.may_be_in(Place.POISON)
    }
