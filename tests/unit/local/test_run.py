"""What the stack prints when it serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.connection import DEFAULT_DATA
from local.run import print_where_to_look
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
