"""The server as a process: it ends with the tests, and says within bounds that it serves."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from azure.core.exceptions import AzureError
from azure.cosmos import CosmosClient, PartitionKey
from azure.cosmos.exceptions import CosmosHttpResponseError

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


def test_a_query_that_would_never_end_is_refused_and_a_signal_ends_the_server(data: Path) -> None:
    endless = f"SELECT VALUE REGEXMATCH('{'a' * 60}', '(a+)+$b')"
    with (
        running_server(data) as server,
        ThreadPoolExecutor() as pool,
        CosmosClient.from_connection_string(server.connection_string) as client,
    ):
        container = client.create_database("d").create_container("c", PartitionKey("/pk"))
        container.create_item({"id": "1", "pk": "p"})

        def ask() -> None:
            list(container.query_items(endless, partition_key="p"))

        with pytest.raises(CosmosHttpResponseError, match="computes for more than") as refused:
            ask()
        assert refused.value.status_code == 400
        assert container.read_item("1", "p")["id"] == "1"
        asking = pool.submit(ask)
        time.sleep(0.5)  # it computes
        assert server.stop() == 0  # within STOP_SECONDS of the tests
        with pytest.raises(AzureError):
            asking.result()
