"""Workflows with least permissions and pinned actions; emulators and deployment that fit the fleet."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.cosmos.client import endpoint_of
from shared.settings import load_settings
from tests.deployment.package import packaged_files
from tests.unit.infra.templates import INFRA, ROOT, templates

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DEPLOY = ROOT / ".github" / "workflows" / "deploy.yml"

GRANTED = {("contents", "read"), ("id-token", "write")}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def weaknesses(workflow: dict[str, Any]) -> list[str]:
    """Return what gives more than is needed, or can change without a commit here."""
    found = []
    for name, job in workflow["jobs"].items():
        granted = job.get("permissions", workflow.get("permissions"))
        if granted is None or not set(granted.items()) <= GRANTED:
            found.append(f"{name}: permissions {granted}")
        if "id-token" in (granted or {}) and "environment" not in job:
            found.append(f"{name}: may sign in to Azure outside of an environment")
        for step in job["steps"]:
            uses = step.get("uses", "")
            if uses and not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", uses):
                found.append(f"{name}: {uses} is not pinned by commit")
            if uses.startswith("actions/checkout@") and step["with"]["persist-credentials"] is not False:
                found.append(f"{name}: leaves its token on the disk")
            if "${{" in step.get("run", ""):
                found.append(f"{name}: puts an expression into a script")
        if "timeout-minutes" not in job:
            found.append(f"{name}: has no limit of time")
    if "pull_request_target" in workflow[True]:  # YAML reads "on" as a truth
        found.append("runs the code of a fork with the rights of this repository")
    return found


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_no_more_than_it_needs(path: Path) -> None:
    assert weaknesses(load(path)) == []
    assert "secrets." not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("      contents: read\n", "      contents: write\n", "permissions"),
        ("11bd71901bbe5b1630ceea73d27597364c9af683", "v4", "not pinned"),
        ("persist-credentials: false", "persist-credentials: true", "on the disk"),
        ('"$DEPLOYMENT"', "${{ inputs.environment }}", "into a script"),
        ("    timeout-minutes: 20\n", "", "no limit"),
        ("    environment: ${{ inputs.environment }}-plan\n", "", "outside of an environment"),
        ("  workflow_dispatch:", "  pull_request_target:\n  workflow_dispatch:", "fork"),
    ],
)
def test_a_weak_workflow_is_found(old: str, new: str, found: str) -> None:
    text = DEPLOY.read_text(encoding="utf-8")
    assert old in text
    assert any(found in problem for problem in weaknesses(yaml.safe_load(text.replace(old, new, 1))))


def test_the_same_commit_of_an_action_is_used_everywhere_and_named_with_its_version() -> None:
    lines = [line for path in WORKFLOWS for line in path.read_text("utf-8").splitlines() if " uses: " in line]
    pinned = {tuple(re.findall(r"uses: (\S+)@(\S+) # (v[\d.]+)$", line)[0]) for line in lines}
    assert len({action for action, _, _ in pinned}) == len(pinned)


def test_the_deployment_shows_what_would_change_before_it_changes_it_and_asks_afterwards() -> None:
    jobs = load(DEPLOY)["jobs"]
    assert list(jobs) == ["what-if", "deploy", "smoke-test"]
    assert (jobs["deploy"]["needs"], jobs["smoke-test"]["needs"]) == ("what-if", "deploy")
    environments = [job.get("environment") for job in jobs.values()]
    assert environments == ["${{ inputs.environment }}-plan", "${{ inputs.environment }}", None]
    commands = [step.get("run", "") for job in jobs.values() for step in job["steps"]]
    for verb in ("validate", "what-if", "create"):
        assert any(f"az deployment sub {verb} " in command for command in commands)


def test_the_workflow_deploys_what_func_would() -> None:
    [zipped] = re.findall(r"package\.zip (.*) --exclude", DEPLOY.read_text(encoding="utf-8"))
    assert {file.parts[0] for file in packaged_files()} == set(zipped.split())


def test_the_workflow_reads_outputs_that_the_template_has() -> None:
    outputs = templates()["main.bicep"].section("outputs")
    text = DEPLOY.read_text(encoding="utf-8")
    [listed] = re.findall(r"for name in ([A-Z_ ]+); do", text)
    assert set(listed.split()) <= set(outputs)
    assert set(re.findall(r"\.(\w+)\.value outputs\.json", text)) <= set(outputs)


def test_azd_finds_the_templates_the_functions_and_the_hook() -> None:
    azd = load(ROOT / "azure.yaml")
    assert (ROOT / azd["infra"]["path"] / f"{azd['infra']['module']}.bicep").is_file()
    assert azd["services"]["fleet"] == {"project": ".", "language": "python", "host": "function"}
    assert "{ 'azd-service-name': 'fleet' }" in templates()["main.bicep"].text
    hook = ROOT / azd["hooks"]["postprovision"]["posix"]["run"]
    assert os.access(hook, os.X_OK)


def hash_keys(tmp_path: Path, *, existing: int) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the script with an az that notes how it was called, and says how many secrets there are."""
    (tmp_path / "az").write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n'
        f'case "$*" in *"secret list"*) echo {existing};; *"secret set"*)\n'
        f'  while [ $# -gt 0 ]; do [ "$1" = --file ] && cat "$2" > {tmp_path}/value; shift; done;; esac\n'
    )
    (tmp_path / "az").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "AZURE_KEY_VAULT_NAME": "kv-test"}
    script = INFRA / "scripts" / "create-hash-keys.sh"
    done = subprocess.run(["sh", str(script)], env=environment, capture_output=True, text=True)
    return done, (tmp_path / "calls").read_text()


def test_hash_keys_are_created_once_and_nothing_of_them_is_printed(tmp_path: Path) -> None:
    done, calls = hash_keys(tmp_path, existing=0)
    assert done.returncode == 0, done.stderr
    value = (tmp_path / "value").read_text()
    assert re.fullmatch(r"20\d\da=[A-Za-z0-9+/]{43}=", value)
    settings = {"CosmosDb__accountEndpoint": "https://a.example/", "FLEET_HASH_KEYS": value}
    load_settings(settings)
    assert value not in done.stdout + done.stderr + calls
    assert value.partition("=")[2] not in done.stdout + done.stderr + calls


def test_hash_keys_that_exist_are_left_alone(tmp_path: Path) -> None:
    done, calls = hash_keys(tmp_path, existing=1)
    assert done.returncode == 0, done.stderr
    assert "secret set" not in calls


def test_the_settings_for_the_emulators_work_as_they_are() -> None:
    values = json.loads((INFRA / "local" / "settings.json").read_text("utf-8"))["Values"]
    settings = load_settings({name: value for name, value in values.items() if name != "AzureWebJobsStorage"})
    assert settings.generation == 1
    assert endpoint_of(values["CosmosDb"]) == "https://localhost:8081/"


def test_the_emulators_listen_where_the_settings_look_and_nowhere_else() -> None:
    services = load(INFRA / "local" / "docker-compose.yml")["services"]
    ports = {name: service["ports"] for name, service in services.items()}
    assert all(port.startswith("127.0.0.1:") for listed in ports.values() for port in listed)
    assert "127.0.0.1:8081:8081" in ports["cosmos"]
    # UseDevelopmentStorage=true means these.
    assert ports["azurite"] == [f"127.0.0.1:{port}:{port}" for port in (10000, 10001, 10002)]
    assert services["cosmos"]["command"][:2] == ["--protocol", "https"]
