"""Verification tells lost, changed and unlisted from erased."""

from __future__ import annotations

import json

import pytest

from shared.archive.verify import Kind, Problem
from tests.unit.shared.archive.world import World, interaction, world

FIRST = "archived/2025/03/01/u0/i0.json"


async def archived(here: World) -> None:
    documents = [interaction(n, f"u{n % 4}") for n in range(24)]
    await here.write("user_interactions", *documents, age_days=200)
    await here.archiver().run()


async def test_an_erased_person_is_no_loss() -> None:
    async with world() as here:
        await archived(here)
        assert (await here.archive.erase_person("u0")).blobs == 6
        assert (await here.archive.erase_person("u0")) == (0, 0)
        report = await here.verifier().verify(sample=None)
        assert (report.documents, report.erased, report.problems) == (18, 6, [])
        assert "u0" not in repr(here.blobs.blobs)


@pytest.mark.parametrize("sample", [None, 10_000])
async def test_a_lost_a_changed_and_an_unlisted_blob_are_found(sample: int | None) -> None:
    async with world() as here:
        await archived(here)
        changed, unlisted = "archived/2025/03/01/u1/i1.json", "archived/2025/03/01/u9/i9.json"
        here.blobs.blobs[unlisted] = here.blobs.blobs[FIRST]
        here.blobs.blobs[unlisted] = (b"{}", here.blobs.blobs[FIRST][1]._replace(name=unlisted))
        del here.blobs.blobs[FIRST]
        here.blobs.change(changed, b"{}")
        report = await here.verifier().verify(sample=sample)
        wanted = {Problem(Kind.LOST, FIRST), Problem(Kind.CHANGED, changed)}
        assert set(report.problems) == wanted | (
            {Problem(Kind.UNLISTED, unlisted)} if sample is None else set()
        )


async def test_a_manifest_that_was_changed_by_hand_is_noticed_also_after_an_erasure() -> None:
    async with world() as here:
        await archived(here)
        part = next(name for name in here.blobs.blobs if name.startswith("manifests/"))
        stored = json.loads(here.blobs.blobs[part][0])
        gone = next(iter(stored["entries"]))
        del stored["entries"][gone], here.blobs.blobs[gone]
        stored["erased"] += 1
        here.blobs.change(part, json.dumps(stored).encode())
        wanted = [Problem(Kind.MANIFEST_CHANGED, part)]
        assert (await here.verifier().verify(sample=None)).problems == wanted
        for number in range(4):
            await here.archive.erase_person(f"u{number}")
        assert (await here.verifier().verify(sample=None)).problems == wanted
        assert here.names() == []


async def test_a_sample_reads_about_as_many_as_it_says() -> None:
    async with world() as here:
        await archived(here)
        report = await here.verifier().verify(sample=5)
        assert 1 <= report.documents <= 10
        assert report.problems == []


async def test_a_blob_of_another_container_than_its_manifest_says_is_changed() -> None:
    async with world() as here:
        await archived(here)
        content, known = here.blobs.blobs[FIRST]
        other = known._replace(metadata={**known.metadata, "container": "abuse_incidents"})
        here.blobs.blobs[FIRST] = content, other
        report = await here.verifier().verify(sample=None)
        assert report.problems == [Problem(Kind.CHANGED, FIRST)]
