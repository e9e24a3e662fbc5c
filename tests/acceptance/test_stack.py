"""The stack as a developer meets it: started, used from other commands, stopped, killed, misconfigured."""

from __future__ import annotations

import json
import os
import shlex
import signal
import stat
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from azure.cosmos import CosmosClient

from tests.acceptance.commands import (
    PATIENCE,
    ROOT,
    children_of,
    environment,
    local,
    serving,
    up,
    wait_until_gone,
)

pytestmark = pytest.mark.acceptance

SEED = ("--users", 4, "--interactions", 60, "--days", 3, "--seed", 7)


def test_a_stack_serves_other_commands_and_stops_cleanly(tmp_path: Path) -> None:
    with up(tmp_path, instances=2) as stack:
        ready = stack.ready
        assert ready["ready"] is True
        assert [host["instance"] for host in ready["hosts"]] == ["host-1", "host-2"]
        description = tmp_path / "stack.json"
        assert stat.S_IMODE(description.stat().st_mode) == 0o600
        assert json.loads(description.read_text())["settings"] == ready["settings"]

        first = local("seed", "--data", tmp_path, *SEED, "--json")
        assert first.returncode == 0, first.stderr
        assert first.stderr == ""  # no progress bar where nobody watches
        again = local("seed", "--data", tmp_path, *SEED, "--json")
        written, rewritten = json.loads(first.stdout), json.loads(again.stdout)
        assert (written["created"], rewritten["created"]) == (60, 0)
        assert written["digest"] == rewritten["digest"]

        assert_the_printed_commands_work_in_one_shell(tmp_path, ready["settings"])
        with serving("host", "--data", tmp_path, "--instance", "third") as third:
            settled = local("settle", "--data", tmp_path, "--timeout", 60, "--json")
            assert settled.returncode == 0, settled.stdout + settled.stderr
            assert all(feed["drained"] for feed in json.loads(settled.stdout)["feeds"])
            assert third.end()[0] == 0

        others = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
        assert others == [], "documents and logs are their owner's alone"

        children = children_of(stack.process.pid)
        assert len(children) == 4, children
        code, output, _ = stack.end()
    assert code == 0
    assert output == "", "the ready line is the only one"
    assert not description.exists()
    wait_until_gone(children)
    assert local("settle", "--data", tmp_path).returncode == 1


def assert_the_printed_commands_work_in_one_shell(data: Path, settings: dict[str, str]) -> None:
    """What ``make run`` prints, one command after the other, in a shell with a connection of before."""
    python = shlex.quote(sys.executable)
    script = f"""
        set -e
        export CosmosDb='{settings["CosmosDb"]}'
        {python} -m local settle --data {data} --timeout 60
        eval "$({python} -m local env --data {data})"
        {python} -m ops views list
        {python} -m local settle --data {data} --timeout 60
    """
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "daily_metrics" in done.stdout


def test_without_a_stack_there_are_no_settings_but_a_sentence(tmp_path: Path) -> None:
    printed = local("env", "--data", tmp_path)
    assert (printed.returncode, printed.stdout) == (1, "")
    [line] = printed.stderr.splitlines()
    assert line.startswith("error: No stack runs on")


def test_without_hosts_settle_tells_the_lag_and_a_dead_part_ends_the_stack(tmp_path: Path) -> None:
    with up(tmp_path, instances=0) as stack:
        assert local("seed", "--data", tmp_path, *SEED).returncode == 0
        settled = local("settle", "--data", tmp_path, "--timeout", 0, "--json")
        assert settled.returncode == 1
        lag = {feed["container"]: feed for feed in json.loads(settled.stdout)["feeds"]}
        assert lag["user_interactions"]["ranges_without_lease"] > 0
        assert not lag["user_interactions"]["drained"]
        table = local("settle", "--data", tmp_path, "--timeout", 0)
        assert table.returncode == 1
        assert "no host has started on it" in table.stdout

        second = local("up", "--data", tmp_path)
        assert second.returncode == 1
        assert f"Another stack runs on {tmp_path}" in second.stderr

        children = children_of(stack.process.pid)
        azurite = next(pid for pid, command in children.items() if "azurite" in command)
        os.kill(azurite, signal.SIGKILL)
        code, _, errors = stack.wait()
    assert code == 1
    assert "azurite stopped unexpectedly (killed by SIGKILL)" in errors
    wait_until_gone(children)


def test_nothing_survives_a_stack_that_is_killed(tmp_path: Path) -> None:
    with up(tmp_path, instances=1) as stack:
        children = children_of(stack.process.pid)
        assert len(children) == 3
        assert stack.end(signal.SIGKILL)[0] == -signal.SIGKILL
    wait_until_gone(children)


def test_a_wrong_setting_surfaces_as_one_sentence(tmp_path: Path) -> None:
    run = local(
        "up", "--data", tmp_path, "--cosmos-port", 0, "--blob-port", 0, "--http-port", 0, FLEET_SHARDS="many"
    )
    assert run.returncode == 1
    assert run.stdout == ""
    assert "The setting FLEET_SHARDS is not usable: " in run.stderr
    assert "Traceback" not in run.stderr


def test_a_fleet_that_may_not_work_says_so_over_http_in_its_commands_and_at_the_next_start(
    tmp_path: Path,
) -> None:
    with up(tmp_path, instances=1) as stack:
        port = stack.ready["hosts"][0]["http_port"]
        assert answer_of(port) == (200, {"status": "ready"})
        delete_container(stack.ready["settings"], "engagement_summary")
        # The host keeps its first answer for half a minute; another host has none.
        with serving("host", "--data", tmp_path, "--instance", "second") as second:
            status, body = answer_of(second.ready["http_port"])
            assert status == 503
            assert "containers are missing: engagement_summary. Create them with" in body["error"]
        delete_container(stack.ready["settings"], "view_state")
        settled = local("settle", "--data", tmp_path, "--timeout", 60)
        assert settled.returncode == 1
    refused = local(
        "up", "--data", tmp_path, "--cosmos-port", 0, "--blob-port", 0, "--http-port", 0, "--instances", 1
    )
    assert refused.returncode == 1
    assert "view_state is not the state that generation 1 has counted" in refused.stderr
    assert "Set FLEET_GENERATION to 2" in refused.stderr


def answer_of(port: int) -> tuple[int, dict[str, str]]:
    """Return what a host answers about its readiness."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/api/ready", timeout=PATIENCE) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def delete_container(settings: dict[str, str], name: str) -> None:
    client = CosmosClient.from_connection_string(settings["CosmosDb"])
    client.get_database_client(settings["COSMOS_DATABASE"]).delete_container(name)
