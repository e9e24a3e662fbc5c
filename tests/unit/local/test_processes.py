"""Child processes: reported ready or failed in one sentence, stopped for certain, never orphaned."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from local import processes
from local.processes import Child, Reporter, StackError, exit_text, log_tail, start_child


@contextlib.asynccontextmanager
async def python_child(tmp_path: Path, script: str, pass_fds: Sequence[int] = ()) -> AsyncIterator[Child]:
    child = await start_child(
        "sample",
        [sys.executable, "-c", script],
        log=tmp_path / "logs" / "sample.log",
        environment=os.environ,
        pass_fds=pass_fds,
    )
    try:
        yield child
    finally:
        await child.stop(grace=0.1)


async def test_a_child_that_obeys_is_stopped_in_time(tmp_path: Path) -> None:
    async with python_child(tmp_path, "import time; time.sleep(600)") as child:
        assert await child.stop(grace=10) is True
        assert child.process.returncode == -signal.SIGTERM


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    script = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"os.write({write_end}, b'deaf')\n"
        "time.sleep(600)"
    )
    async with python_child(tmp_path, script, pass_fds=[write_end]) as child:
        os.close(write_end)
        with os.fdopen(read_end, "rb") as pipe:
            assert await asyncio.to_thread(pipe.read, 4) == b"deaf"
        assert await child.stop(grace=0.2) is False
        assert child.process.returncode == -signal.SIGKILL


async def test_an_unexpected_end_names_the_child_and_quotes_its_log(tmp_path: Path) -> None:
    async with python_child(tmp_path, "import sys; print('the disk is full'); sys.exit(3)") as child:
        await child.process.wait()
        message = str(child.failure())
    log = tmp_path / "logs" / "sample.log"
    assert message.splitlines() == [
        f"The end of {log}:",
        "  the disk is full",
        f"sample stopped unexpectedly (exit code 3); its log is {log}",
    ]


@pytest.mark.parametrize(
    "kernel_helps",
    [
        pytest.param(
            True, marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux's kernel does")
        ),
        False,
    ],
)
def test_children_do_not_outlive_a_parent_killed_with_minus_nine(tmp_path: Path, kernel_helps: bool) -> None:
    script = f"""
import asyncio, os, sys
from pathlib import Path
from local import processes

if not {kernel_helps}:
    processes.die_with_parent = lambda: None

async def main():
    child = await processes.start_child(
        "sample",
        [sys.executable, "-c", "import os, time; os.write({{}}, str(os.getpid()).encode()); time.sleep(600)"
         .format(int(sys.argv[1]))],
        log=Path({str(tmp_path)!r}) / "sample.log", environment=os.environ, pass_fds=[int(sys.argv[1])],
    )
    await child.process.wait()

asyncio.run(main())
"""
    read_end, write_end = os.pipe()
    parent = subprocess.Popen([sys.executable, "-c", script, str(write_end)], pass_fds=[write_end])
    os.close(write_end)
    with os.fdopen(read_end, "rb", buffering=0) as pipe:
        watch = os.pidfd_open(int(pipe.read(20)))
        parent.kill()
        parent.wait()
    try:
        asyncio.run(_ended(watch))
    finally:
        os.close(watch)


async def _ended(watch: int) -> None:
    """A pidfd becomes readable when its process ends."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(watch, ended.set)
    try:
        await asyncio.wait_for(ended.wait(), 10)
    finally:
        loop.remove_reader(watch)


async def test_a_guarded_child_stops_when_asked_and_gives_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "die_with_parent", lambda: None)
    async with python_child(tmp_path, "import sys; sys.exit(3)") as child:
        assert await asyncio.wait_for(child.process.wait(), 30) == 3
    read_end, write_end = os.pipe()
    script = f"import os, time; os.write({write_end}, b'up'); time.sleep(600)"
    async with python_child(tmp_path, script, pass_fds=[write_end]) as child:
        os.close(write_end)
        with os.fdopen(read_end, "rb") as pipe:
            assert await asyncio.to_thread(pipe.read, 2) == b"up"
        assert await child.stop(grace=30) is True
        assert child.process.returncode == 128 + signal.SIGTERM


async def test_a_command_that_cannot_start_surfaces_as_its_sentence(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"^host-9 could not start: No stack runs on .*stack\.json"):
        await processes.start_command(
            "host-9",
            ["host", "--instance", "host-9", "--data", str(tmp_path / "nothing")],
            log=tmp_path / "host-9.log",
            environment={k: v for k, v in os.environ.items() if not k.startswith("CosmosDb")},
            timeout=60,
        )


async def test_a_command_that_ends_without_a_report_quotes_its_log(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"(?s)No such command.*\nodd stopped unexpectedly \(exit code 2\)"):
        await processes.start_command(
            "odd", ["no-such-command"], log=tmp_path / "odd.log", environment=os.environ, timeout=60
        )


def test_only_the_first_report_counts(capsys: pytest.CaptureFixture[str]) -> None:
    read_end, write_end = os.pipe()
    reporter = Reporter(write_end)
    reporter.ready({"port": 1})
    reporter.failed("too late")
    with os.fdopen(read_end) as pipe:
        assert [json.loads(line) for line in pipe] == [{"ready": True, "port": 1}]
    assert capsys.readouterr().out == ""


def test_without_a_parent_readiness_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    Reporter(None).ready({"port": 1})
    assert json.loads(capsys.readouterr().out) == {"ready": True, "port": 1}


def test_the_end_of_a_log_is_bounded(tmp_path: Path) -> None:
    log = tmp_path / "long.log"
    log.write_text("".join(f"line {number}\n" for number in range(100_000)))
    tail = log_tail(log).splitlines()
    assert tail[-1].strip() == "line 99999"
    assert len(tail) == processes.LOG_LINES_IN_ERRORS
    assert log_tail(tmp_path / "missing.log") == "  (there is no log)"


def test_exit_codes_are_explained() -> None:
    assert exit_text(1) == "exit code 1"
    assert exit_text(-9) == "killed by SIGKILL"
