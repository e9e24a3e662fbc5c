"""The export of a person's data: complete, readable, without secrets, and gone when its time is over."""

from __future__ import annotations

import hashlib
import io
import json
import tracemalloc
import zipfile
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from shared.archive.content import copy_of
from shared.archive.names import BlobName, blob_name
from shared.archive.store import metadata_of
from shared.errors import ErasureError
from shared.people.export import FILES, Exporter
from shared.people.exports import LIFETIME
from shared.people.places import Stored
from shared.people.requests import Status
from tests.unit.shared.people.world import World, fill, interaction, world

PERSON = "ann-marie"


async def exported(one: World, person: str = PERSON) -> dict[str, str]:
    target = io.BytesIO()
    await one.people(await one.fleet()).exporter.write(person, target)
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


async def test_everything_of_the_person_is_in_it_and_of_nobody_else() -> None:
    async with world() as one:
        await fill(one, [PERSON, "ben"])
        await one.write("user_interactions", interaction(PERSON, 90, "no time at all"))
        fleet = await one.fleet()
        await one.deliver(fleet)
        await one.publish(fleet)
        content = await exported(one)
        files = {name: json.loads(content[name]) for name, _ in FILES.values()}
        assert {name: len(documents) for name, documents in files.items()} == {
            "account.json": 1, "sessions.json": 2, "conversations.json": 5, "incidents.json": 2,
            "analytics.json": len(files["analytics.json"]), "not_processed.json": 1, "archived.json": 0,
        }  # fmt: skip
        assert files["analytics.json"]
        assert files["account.json"][0]["email"] == f"{PERSON}@example.org"
        assert {each["user_query"] for each in files["conversations.json"]} == {
            f"A secret question of {PERSON}"
        }
        whole = "".join(content.values())
        assert "ben" not in whole.replace("benefit", "")
        assert not any(name.startswith("_") for name in files["conversations.json"][0])


async def test_a_blob_of_another_person_that_was_copied_into_the_person_s_folder_is_left_out() -> None:
    async with world() as one:
        ring = one.settings.key_ring()
        for container, owner in product(("user_interactions", "user_analytics"), (PERSON, "ben")):
            document = {**interaction(owner, 1), "period_start": "2025-09-10", "_ts": 1_757_500_000}
            copy = copy_of(container, document, ring)
            folder = copy_of(container, document | {"user_id": PERSON}, ring).owner
            name = blob_name(copy.day, folder, copy.document_id)
            metadata = metadata_of(copy, name, document, container, generation=1, part="p")
            await one.archive.create(name.text(), copy.content, metadata=metadata)
        strange = BlobName(copy.day, PERSON, "strange", 1).text()
        await one.archive.create(strange, b'{"id": "strange", "user_id": ["ben"]}', metadata=metadata)
        content = await exported(one)
        questions = [each["document"]["user_query"] for each in json.loads(content["archived.json"])]
        assert questions == [f"A secret question of {PERSON}"] * 2


async def test_tokens_and_notes_of_reviewers_and_unknown_fields_are_left_out() -> None:
    async with world() as one:
        await fill(one, [PERSON])
        feedback = {"reviewer_feedback": "she again", "suggested_improvements": "watch her"}
        await one.write("abuse_incidents", {
            "id": "with feedback", "user_id": PERSON, "feedback_data": feedback | {"model_accuracy": "good"}
        })  # fmt: skip
        listed = {"id": "with a list", "user_id": PERSON, "feedback_data": [feedback, [feedback], "she"]}
        await one.write("abuse_incidents", listed)
        await one.write("user_interactions", interaction(PERSON, 1, unheard_of="internal words"))
        content = await exported(one)
        whole = "".join(content.values())
        for hidden in (
            f"token-of-{PERSON}",
            "reviewer-7",
            "Notes about",
            "she again",
            "watch her",
            "internal words",
        ):
            assert hidden not in whole
        incidents = json.loads(content["incidents.json"])
        assert {
            each["flagged_content"]["flagged_text"] for each in incidents if "flagged_content" in each
        } == {f"Flagged {PERSON}"}
        assert {"model_accuracy": "good"} in [each.get("feedback_data") for each in incidents]


async def test_the_manifest_has_the_number_of_documents_and_the_hash_of_each_file() -> None:
    async with world() as one:
        await fill(one, [PERSON])
        content = await exported(one)
        manifest = json.loads(content["manifest.json"])
        assert manifest["made_at"] == "2025-09-15T14:00:00Z"
        assert set(manifest["files"]) == {name for name, _ in FILES.values()}
        for name, known in manifest["files"].items():
            assert known["sha256"] == hashlib.sha256(content[name].encode()).hexdigest()
            assert known["documents"] == len(json.loads(content[name]))
        assert all(name in content["README.txt"] for name in manifest["files"])


async def test_an_unknown_person_has_an_empty_export() -> None:
    async with world() as one:
        content = await exported(one, "nobody")
        assert all(json.loads(content[name]) == [] for name, _ in FILES.values())


class Many:
    """Places that have many conversations, and an archive that has nothing."""

    def __init__(self, documents: int) -> None:
        self._documents = documents

    async def documents(self, container: str, user_id: str) -> AsyncIterator[Stored]:
        for number in range(self._documents if container == "user_interactions" else 0):
            text = f"words and words {number} " * 1_000
            yield Stored(interaction(user_id, number, response_text=text), user_id)

    async def poison_rows(self, user_id: str) -> AsyncIterator[Any]:
        for _ in ():
            yield

    def names_in_copies(self, user_id: str) -> set[str]:
        return {user_id}

    async def find_person(self, user_id: str) -> AsyncIterator[Any]:
        for _ in ():
            yield


class Nowhere(io.RawIOBase):
    """A file that is only written."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return len(data)


async def test_memory_does_not_grow_with_the_number_of_documents() -> None:
    peaks = []
    for documents in (1, 20, 400):  # the first one warms up
        many: Any = Many(documents)
        tracemalloc.start()
        report = await Exporter(many, many).write(PERSON, Nowhere())  # type: ignore[arg-type]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert report.total == documents
    assert peaks[2] < 2 * peaks[1] + 100_000


async def test_an_export_as_a_blob_has_a_link_and_is_deleted_when_its_time_is_over() -> None:
    async with world() as one:
        await fill(one, [PERSON])
        people = one.people(await one.fleet())
        request = await people.export(PERSON, by="tests")
        with pytest.raises(ErasureError, match="not made yet, or was deleted"):
            await people.exports.link(request)
        request, _ = await people.advance(request.id)
        assert (request.status, request.user_id, request.counts["account.json"]) == (Status.DONE, None, 1)
        (name,) = one.exports.blobs
        assert name == request.target
        assert PERSON not in name
        assert name in await people.exports.link(request)
        one.now += LIFETIME - timedelta(minutes=1)
        await people.work(1e9)
        assert one.exports.blobs
        one.now += timedelta(minutes=2)
        await people.work(1e9)
        assert not one.exports.blobs
        with pytest.raises(ErasureError, match="not made yet, or was deleted"):
            await people.exports.link(request)


async def test_a_process_that_dies_while_it_exports_is_followed_by_another() -> None:
    async with world() as one:
        await fill(one, [PERSON])
        people = one.people(await one.fleet())
        request = await people.export(PERSON, by="tests")
        await people.exports.make(await people.requests.get(request.id))
        await people.requests._document(request.id).save(request.encode())  # it died before this was stored
        await one.people(await one.fleet()).work(1e9)
        assert (await people.requests.get(request.id)).status is Status.DONE
        assert len(one.exports.blobs) == 1


async def test_an_erasure_ends_requests_for_exports_of_the_person() -> None:
    async with world() as one:
        await fill(one, [PERSON, "ben"])
        people = one.people(await one.fleet())
        requests = [await people.export(user, by="tests") for user in (PERSON, "ben")]
        await one.erase(PERSON)
        mine, other = [await people.requests.get(each.id) for each in requests]
        assert (mine.is_running, mine.user_id) == (False, None)
        assert (other.is_running, other.user_id) == (True, "ben")
        assert one.mentions(PERSON) == []
