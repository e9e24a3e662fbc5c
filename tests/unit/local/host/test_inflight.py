"""What a dead process was doing can be read from its file; a living one's is left alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from local.host.inflight import FOLDER, InFlight, find_dead, in_flight_file, take_dead
from local.processes import StackError, start_child
from local.stack import Stack, StackConfig

DIES = """
import os, sys
from pathlib import Path
from local.host.inflight import in_flight_file

with in_flight_file(Path(sys.argv[1]) / "host", "host-1", "x") as file:
    file.begin("fold", "id-1")
    os._exit(7)
"""


def die(data: Path, instance: str, *flights: tuple[str, str]) -> None:
    """Leave a file as a process does that ends without a chance to clean up."""
    left = data / FOLDER / f"{instance}.x.json"
    with in_flight_file(data, instance, "x") as file:
        for function, invocation in flights:
            file.begin(function, invocation)
        text = left.read_bytes()
    left.write_bytes(text)


def test_a_dead_process_is_told_once(tmp_path: Path) -> None:
    die(tmp_path, "host-1", ("fold", "id-1"), ("publish", "id-2"))
    [dead] = take_dead(tmp_path)
    assert (dead.instance, dead.pid) == ("host-1", os.getpid())
    assert dead.doing == "while running fold (invocation id-1), publish (invocation id-2)"
    assert take_dead(tmp_path) == []


def test_a_process_that_died_idle(tmp_path: Path) -> None:
    die(tmp_path, "host-1")
    [dead] = take_dead(tmp_path)
    assert dead.doing == "while no function ran"


def test_only_the_process_asked_for_is_told(tmp_path: Path) -> None:
    die(tmp_path, "host-1", ("fold", "id-1"))
    assert find_dead(tmp_path, os.getpid() + 1) is None
    found = find_dead(tmp_path, os.getpid())
    assert found is not None
    assert [flight.function for flight in found.flights] == ["fold"]
    assert find_dead(tmp_path, os.getpid()) is None


def test_a_living_process_and_an_orderly_end_leave_nothing(tmp_path: Path) -> None:
    with in_flight_file(tmp_path, "host/1", "a") as file:
        file.begin("fold", "id-1")
        assert take_dead(tmp_path) == []
        assert len(list((tmp_path / FOLDER).iterdir())) == 1
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_an_invocation_that_has_ended_is_not_in_flight(tmp_path: Path) -> None:
    left = tmp_path / "file.json"
    descriptor = os.open(left, os.O_RDWR | os.O_CREAT)
    file = InFlight(descriptor, "one")
    before = left.read_bytes()
    for number in range(50):
        file.begin("fold", str(number))
    assert left.read_bytes().count(b'"fold"') == 50
    for number in range(50):
        file.end(str(number))
    assert left.read_bytes() == before
    os.close(descriptor)


@pytest.mark.parametrize("text", [b"", b'{"instance": "on'])
def test_a_file_that_was_never_written_whole_tells_nothing(tmp_path: Path, text: bytes) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "one.x.json").write_bytes(text)
    assert take_dead(tmp_path) == []


def test_what_an_interrupted_write_left_behind_the_first_object_is_ignored(tmp_path: Path) -> None:
    die(tmp_path, "one", ("fold", "id-1"))
    [path] = (tmp_path / FOLDER).iterdir()
    path.write_bytes(path.read_bytes() + b'", "since": 1}]}\n')
    assert [dead.instance for dead in take_dead(tmp_path)] == ["one"]


async def test_the_stack_says_which_function_a_host_died_of(tmp_path: Path) -> None:
    stack = Stack(StackConfig(tmp_path))
    command = [sys.executable, "-c", DIES, str(tmp_path)]
    host = await start_child("host-1", command, log=tmp_path / "host-1.log", environment=os.environ)
    stack.host_processes.append(host)
    sentence = (
        r"\nhost-1 stopped unexpectedly \(exit code 7\) while running fold \(invocation id-1\); its log"
    )
    with pytest.raises(StackError, match=sentence):
        await stack.watch()
