"""The chains of the fleet's own frames, from a trigger to the call of the SDK that writes.

The frames of a task follow those of the code that created it. ``docs/how-it-works.md`` shows the chains.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from functions import sources, views
from shared.facts import USER_INTERACTIONS
from tests.fakes import FakeContainer
from tests.unit.functions.registered import invoke
from tests.unit.shared.world import World, interaction

ROOT = Path(__file__).parents[2]
OWN = (str(ROOT / "functions"), str(ROOT / "shared"))
LONGEST_TO_COMMIT, LONGEST_TO_DOCUMENT = 8, 9

Step = tuple[str, str]
"""The file of a frame, and the name of its function with its class."""


class Chains:
    """Records the chain of frames that leads to each call of an operation."""

    def __init__(self) -> None:
        self.of_task: dict[asyncio.Task[Any], list[Step]] = {}
        self.recorded: dict[str, list[Step]] = {}

    def create_task(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        """Create a task that remembers the chain of its creator: a task factory."""
        created_by = self.current()
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
        self.of_task[task] = created_by
        return task

    def record(self, operation: str, when: str) -> None:
        """Record the chain to an operation: a fault of a fake container."""
        if when == "before":
            self.recorded[operation] = self.current()

    def current(self) -> list[Step]:
        task = asyncio.current_task()
        before = self.of_task.get(task, []) if task is not None else []
        return [*before, *reversed(list(own_frames(sys._getframe(1))))]


def own_frames(frame: FrameType | None) -> Iterator[Step]:
    """Yield the frames of the fleet's own code, the innermost first."""
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(OWN):
            yield str(Path(code.co_filename).relative_to(ROOT)), code.co_qualname
        frame = frame.f_back


async def chain_of(
    trigger: Any, container: str, operation: str, world: World, documents: list[Any]
) -> list[Step]:
    """Invoke a trigger with documents; return the chain to the first call of an operation on a container."""
    chains, loop = Chains(), asyncio.get_running_loop()
    fake: FakeContainer = world.containers[container]
    fake.fault = chains.record
    loop.set_task_factory(chains.create_task)  # type: ignore[arg-type]
    try:
        await loop.create_task(invoke(trigger._function, documents))
    finally:
        loop.set_task_factory(None)
    return chains.recorded[operation]


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    fleet = await world.fleet()

    async def connected() -> Any:
        return fleet

    monkeypatch.setattr(sources, "fleet", connected)
    monkeypatch.setattr(views, "fleet", connected)
    return world


def delivered(number: int) -> dict[str, Any]:
    return interaction(number, "2025-09-15T10:00:00Z") | {"_ts": 1_790_000_000, "_lsn": 1, "_etag": '"1"'}


async def chains_of(world: World) -> dict[str, list[Step]]:
    committed = await chain_of(sources.fold_user_interactions, "view_state", "batch", world, [delivered(1)])
    state = list(world.state.items.values())
    published = await chain_of(views.publish_views, "user_analytics", "create", world, state)
    return {"fold_user_interactions": committed, "publish_views": published}


async def test_a_batch_is_committed_within_eight_frames_and_a_document_published_within_nine(
    world: World,
) -> None:
    chains = await chains_of(world)
    assert world.containers[USER_INTERACTIONS].items == {}
    assert len(chains["fold_user_interactions"]) <= LONGEST_TO_COMMIT
    assert len(chains["publish_views"]) <= LONGEST_TO_DOCUMENT


async def test_the_documentation_shows_the_chains(world: World) -> None:
    page = (ROOT / "docs/how-it-works.md").read_text(encoding="utf-8")
    section = page.partition("## Two call chains")[2].partition("\n## ")[0]
    documented = [
        re.findall(r"^([\w.]+)", block, re.MULTILINE) for block in re.findall(r"```\n(.*?)```", section, re.S)
    ]
    recorded = [[simple(step) for step in chain] for chain in (await chains_of(world)).values()]
    assert documented == recorded


async def test_every_step_is_in_the_glossary_and_its_module_has_a_test(world: World) -> None:
    glossary = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    for chain in (await chains_of(world)).values():
        for step in chain:
            assert f"`{simple(step)}`" in glossary
            module = Path(step[0])
            test = ROOT / "tests/unit" / module.parent / f"test_{module.name}"
            assert re.search(rf"\b{step[1].partition('.')[0]}\b", test.read_text(encoding="utf-8")), test


def simple(step: Step) -> str:
    """Return a step as the documentation names it: class and method, or function."""
    return step[1].replace(".<locals>", "")
