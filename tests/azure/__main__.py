"""``make infra-check``: the templates and the workflows, checked by tools in an environment of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.azure.models import check, check_container
from tests.unit.infra.templates import INFRA, ROOT, templates

ANSWERS = Path(__file__).with_name("answers.toml")

WORKFLOWS = ROOT / ".github" / "workflows"

SCHEMAS: tuple[tuple[str, str], ...] = (
    ("vendor.github-workflows", ".github/workflows/*.yml"),
    ("vendor.dependabot", ".github/dependabot.yml"),
    ("vendor.compose-spec", "infra/local/docker-compose.yml"),
)
"""Schemas that come with check-jsonschema, and the files that they describe."""


def models() -> Iterator[str]:
    """Compare every resource and every container with the models of the management packages."""
    for template in templates().values():
        yield from check(template)
    for container in json.loads((INFRA / "containers.json").read_text(encoding="utf-8")):
        yield from check_container(container)


def broken_models() -> Iterator[str]:
    """Break the templates one by one, and report what :func:`models` would not find."""
    for name, old, new in BROKEN:
        text = templates()[name].text
        if old not in text:
            yield f"{name} has no {old!r} to break"
        elif not any(check(templates({name: text.replace(old, new, 1)})[name])):
            yield f"{name} with {new!r} for {old!r} was not found"


def checkov() -> Iterator[str]:
    """Run checkov, and compare what it finds with the answers."""
    command = ["checkov", "-d", str(INFRA), "--framework", "bicep", "--compact", "--quiet", "--skip-download"]
    answer = _run([*command, "-o", "json"], accepted=(0, 1))
    yield from unanswered(json.loads(answer), tomllib.loads(ANSWERS.read_text(encoding="utf-8")))


def unanswered(report: Mapping, answers: Mapping) -> Iterator[str]:
    """Return findings without an answer, answers without a finding, and files that checkov could not read."""
    if report["summary"]["parsing_errors"]:
        yield f"checkov could not parse {report['summary']['parsing_errors']} of the templates"
    found = {(each["check_id"], each["resource"]): each for each in report["results"]["failed_checks"]}
    answered = {(each["check"], place) for each in answers["answer"] for place in each["resources"]}
    for check_id, place in sorted(found.keys() - answered):
        yield f"{check_id} {place}: {found[check_id, place]['check_name']}"
    for check_id, place in sorted(answered - found.keys()):
        yield f"{check_id} {place}: answered in {ANSWERS.name}, but not found any more"


def schemas() -> Iterator[str]:
    """Compare workflows and the compose file with their schemas."""
    for schema, pattern in SCHEMAS:
        paths = [str(path) for path in sorted(ROOT.glob(pattern))]
        if not paths:
            yield f"{pattern}: there is no such file"
            continue
        command = ["check-jsonschema", "--builtin-schema", schema, *paths]
        done = subprocess.run([_tool(command[0]), *command[1:]], capture_output=True, text=True)
        if done.returncode:
            yield done.stdout + done.stderr


def bicep() -> Iterator[str]:
    """Compile and lint the templates, where the Bicep compiler is installed."""
    compiler = shutil.which("bicep")
    if compiler is None:
        print("   not done: the Bicep compiler is not installed")
        return
    main = str(INFRA / "main.bicep")
    for arguments in (["build", main, "--stdout"], ["lint", main]):
        done = subprocess.run([compiler, *arguments], capture_output=True, text=True)
        if done.returncode:
            yield done.stderr
        elif done.stderr:
            print(done.stderr)  # warnings


def _run(command: list[str], *, accepted: tuple[int, ...]) -> str:
    done = subprocess.run([_tool(command[0]), *command[1:]], capture_output=True, text=True)
    if done.returncode not in accepted:
        raise SystemExit(f"{command[0]} failed: {done.stderr[-2_000:]}")
    return done.stdout


def _tool(name: str) -> str:
    """Return the command of this environment."""
    return str(Path(sys.executable).with_name(name))


BROKEN = (
    ("main.bicep", "  location: location\n  tags: tags\n}", "  region: location\n  tags: tags\n}"),
    ("app/alerts.bicep", "criterionType: 'StaticThresholdCriterion'", "criterion: 'Static'"),
    ("app/alerts.bicep", "failingPeriods: {", "failing: {"),
    ("app/budget.bicep", "thresholdType: 'Actual'", "kind: 'Actual'"),
    ("app/db-roles.bicep", "'CustomRole'", "'Custom'"),
    ("app/db-roles.bicep", "dataActions: [", "actions: ["),
    ("app/db.bicep", "enableAutomaticFailover", "automaticFailover"),
    ("app/db.bicep", "failoverPriority: priority", "failover: priority"),
    ("app/db.bicep", "'Continuous30Days'", "'Continuous99Days'"),
    ("app/db.bicep", "autoscaleSettings: { maxThroughput: shared", "autoscale: { maxThroughput: shared"),
    ("app/db.bicep", "category: 'ControlPlaneRequests'", "kind: 'ControlPlaneRequests'"),
    ("app/fleet.bicep", "instanceMemoryMB: instanceMemoryMB\n        max", "memory: 1\n        max"),
    ("app/fleet.bicep", "'blobContainer'", "'blobs'"),
    ("app/identities.bicep", "tags: tags", "labels: tags"),
    ("app/identities.bicep", "  tags: tags\n}", "  id: 'x'\n}"),
    ("app/key-vault.bicep", "enableRbacAuthorization", "enableRoles"),
    ("app/monitoring.bicep", "retentionInDays", "retention"),
    ("app/monitoring.bicep", "emailReceivers", "receivers"),
    ("app/network.bicep", "groupIds", "groups"),
    ("app/rbac.bicep", "roleDefinitionId", "roleId"),
    ("app/storage.bicep", "'TLS1_2'", "'TLS9'"),
    ("app/storage.bicep", "tierToCold: {", "tierToFrozen: {"),
)
"""Mistakes that the comparison must find: file, text and what stands in its place."""

STEPS: tuple[tuple[str, Callable[[], Iterator[str]]], ...] = (
    ("properties against the models of azure-mgmt-*", models),
    ("mistakes that this comparison must find", broken_models),
    ("checkov", checkov),
    ("schemas of workflows and of the compose file", schemas),
    ("bicep build and lint", bicep),
)


def main() -> int:
    """Run all steps; return 1 if one of them found something."""
    failed = False
    for title, step in STEPS:
        print(f"== {title}", flush=True)
        for problem in step():
            failed = True
            print(f"   {problem}")
    print("failed" if failed else "ok")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
