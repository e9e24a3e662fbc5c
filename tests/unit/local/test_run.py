"""What the stack prints when it serves, and how its live traffic goes on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from local.connection import DEFAULT_DATA
from local.run import print_where_to_look, write_live
from local.seed.live_database import LiveDatabase
from local.seed.traffic import Write
from local.seed.writer import SeedSummary
from local.stack import Stack, StackConfig
from terminal import output


def stack(data: Path) -> Stack:
    made = Stack(StackConfig(data), cosmos={"endpoint": "http://127.0.0.1:8081/"}, blob_port=10_000)
    made.hosts = [{"instance": f"host-{number}", "http_port": 7070 + number} for number in (1, 2)]
    return made


def printed(data: Path, width: int | None, capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "width_of", lambda _: width)
        print_where_to_look(stack(data))
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("width", [80, 120, None])
def test_places_and_hints_have_one_line_each(width: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(DEFAULT_DATA, width, capsys)
    assert len(lines) == 1 + 1 + 6 + 1 + 5
    assert max(map(len, lines)) <= 80
    assert not any("--data" in line for line in lines)
    assert any(line.endswith("http://127.0.0.1:7072/api/health") for line in lines)


def test_commands_on_another_directory_name_it_and_stay_whole(capsys: pytest.CaptureFixture[str]) -> None:
    data = Path("/a directory/with a long name/for the data of a stack")
    lines = printed(data, 80, capsys)
    assert f"eval \"$(.venv/bin/python -m local env --data '{data}')\"" in lines
    assert f".venv/bin/python -m local settle --data '{data}'" in lines
    assert "  is everything published?" in lines


class _Missing:
    """A container from which everything is gone."""

    async def replace_item(self, *_: Any) -> None:
        raise CosmosResourceNotFoundError(status_code=404, message="gone")

    create_item = replace_item


MISSING: Any = SimpleNamespace(get_container_client=lambda _: _Missing())
NOW = 1_756_650_000_000


async def test_a_person_who_is_erased_while_they_ask_leaves_and_the_stack_goes_on() -> None:
    traffic, written = LiveDatabase(users=1, seed=3), SeedSummary()
    rating = Write("replace", NOW, {"id": "interaction_1"}, 0)
    await write_live(MISSING, rating, traffic, written)
    assert list(traffic.ask(NOW)) == []
    assert written.replaced == 0


async def test_a_missing_container_ends_the_stack() -> None:
    question = Write("create", NOW, {"id": "interaction_1"}, 0)
    with pytest.raises(CosmosResourceNotFoundError):
        await write_live(MISSING, question, LiveDatabase(users=1, seed=3), SeedSummary())
