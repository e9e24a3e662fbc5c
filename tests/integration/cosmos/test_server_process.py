"""The server as a process: it ends with the tests, and says within bounds that it serves."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import cosmos_server
from tests.acceptance.commands import wait_until_gone
from tests.cosmos_server import ROOT, running_server

RUN = """
import sys, time
from pathlib import Path
from tests.cosmos_server import running_server
with running_server(Path(sys.argv[1])) as server:
    print(server.process.pid, flush=True)
    time.sleep(300)
"""


def test_the_server_of_a_killed_test_run_dies_too(data: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(data)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        run.send_signal(signal.SIGKILL)
    wait_until_gone([pid])


def test_a_server_that_does_not_start_is_an_error_and_not_a_wait(data: Path) -> None:
    with running_server(data), pytest.raises(RuntimeError, match="exit code 1"), running_server(data):
        pass


def test_a_server_that_does_not_stop_is_killed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosmos_server, "STOP_SECONDS", 0.2)
    with pytest.raises(subprocess.TimeoutExpired), running_server(data) as server:
        server.process.send_signal(signal.SIGSTOP)  # it cannot hear SIGTERM now
    assert server.process.returncode == -signal.SIGKILL
