"""Sync functions run in bounded threads that nobody has to wait for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from local.host.threads import DaemonThreads


async def test_results_and_errors_come_back() -> None:
    threads = DaemonThreads(2)
    assert await threads.run("f", lambda: threading.current_thread().name) == "function f"
    with pytest.raises(ZeroDivisionError):
        await threads.run("f", lambda: 1 // 0)
    with pytest.raises(RuntimeError, match="f raised StopIteration"):
        await threads.run("f", lambda: next(iter([])))


async def test_no_more_run_at_a_time_than_there_are_slots_even_after_a_cancelled_wait() -> None:
    threads = DaemonThreads(1)
    release = threading.Event()
    first = asyncio.create_task(threads.run("f", lambda: release.wait(20)))
    await asyncio.sleep(0)
    first.cancel()
    second = asyncio.create_task(threads.run("f", lambda: "second"))
    done, _ = await asyncio.wait({second}, timeout=0.05)
    assert not done  # the abandoned thread still holds the only slot
    release.set()
    assert await second == "second"


def test_a_thread_that_hangs_does_not_keep_the_process() -> None:
    code = (
        "import asyncio, threading\n"
        "from local.host.threads import DaemonThreads\n"
        "async def main():\n"
        "    asyncio.ensure_future(DaemonThreads(1).run('f', threading.Event().wait))\n"
        "    await asyncio.sleep(0)\n"
        "asyncio.run(main())\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=20, check=False).returncode == 0
