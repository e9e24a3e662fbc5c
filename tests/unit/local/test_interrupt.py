"""A signal ends a process in order where it can, and always in time."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PATIENCE = 30
"""Seconds; a process that does not end fails the test."""

PROGRAM = """
import asyncio, re, sys, threading, time

import uvloop

from local.interrupt import stopping_on_signals

async def main():
    stopped, insisted = asyncio.Event(), asyncio.Event()
    with stopping_on_signals(stopped.set, insisted.set, within={within}):
        print("ready", flush=True)
        {body}
        print("done", flush=True)
    {after}

{runner}.run(main())
"""

HELD = {
    "computes": "while True: pass",
    "waits": "time.sleep(10_000)",
    "matches": "re.search('(a+)+$b', 'a' * 60)",
    "holds on to errors": """
        while True:
            try:
                time.sleep(1)
            except BaseException:
                pass""",
}


def start(
    body: str, *, within: float = 0.3, runner: str = "asyncio", after: str = "pass"
) -> subprocess.Popen[str]:
    program = PROGRAM.format(body=body, within=within, runner=runner, after=after)
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("runner", ["asyncio", "uvloop"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("body", HELD.values(), ids=HELD)
def test_a_process_whose_event_loop_is_held_ends_in_time_and_says_where(
    body: str, number: signal.Signals, runner: str
) -> None:
    with start(body, runner=runner) as process:
        time.sleep(0.1)  # it is in the middle of it
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "Timeout (0:00:00.3" in errors
    assert "in main" in errors


@pytest.mark.parametrize("runner", ["asyncio", "uvloop"])
def test_a_signal_is_answered_on_the_event_loop_and_a_second_one_too(runner: str) -> None:
    body = "await stopped.wait(); print('stopping', flush=True); await insisted.wait()"
    with start(body, within=PATIENCE, runner=runner) as process:
        assert process.stdout is not None
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "stopping\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output, errors) == (0, "done\n", "")


def test_a_signal_after_the_last_step_ends_the_process_at_once() -> None:
    body = "await insisted.wait(); print('insisted', flush=True); time.sleep(10_000)"
    with start(body, within=1_000) as process:
        assert process.stdout is not None
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "insisted\n"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGTERM


def test_nothing_is_left_of_a_block_that_has_ended() -> None:
    with start("await stopped.wait()", after="await asyncio.sleep(1)") as process:
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output, errors) == (0, "done\n", "")
