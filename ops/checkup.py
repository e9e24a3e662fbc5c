"""What ``fleet doctor`` looks at: one function per subject, each with findings that name the remedy."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from azure.cosmos.aio import DatabaseProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError
from packaging.requirements import Requirement

from shared.clock import Clock
from shared.concurrency import for_each
from shared.containers import CATALOGUE, FLEET_STATE, VIEW_STATE
from shared.cosmos.access import MAX_CONCURRENT_PROBES, allowed_actions
from shared.cosmos.container_plan import Found, Plan, plan_of
from shared.cosmos.leases import read_leases
from shared.cosmos.provisioning import KeyPlane, plan_containers
from shared.errors import SettingsError, line_of
from shared.ledger.generations import Generations
from shared.ledger.state_mark import StateMark
from shared.rights import Action, Identity, grants_of
from shared.settings import Settings

LOCK = Path(__file__).parents[1] / "requirements.txt"

OLDEST, NEWEST = (3, 11), (3, 13)
"""Versions of Python that the tests run on."""

CLOCK_WARNING, CLOCK_PROBLEM = 10.0, 300.0
"""Seconds by which a clock may differ. Leases end after 60; a signature is good for 15 minutes."""

SILENT_SECONDS = 60.0
"""A lease that was not renewed for as long has no owner any more: the trigger renews each 17 s."""


class Verdict(StrEnum):
    """How something is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it is, and what to do."""

    subject: str
    verdict: Verdict
    text: str
    remedy: str | None = None


def check_versions(lock: Path = LOCK) -> Iterable[Finding]:
    """Compare Python and the installed packages with what the tests run on."""
    here = sys.version_info[:2]
    name = f"Python {here[0]}.{here[1]}"
    if OLDEST <= here <= NEWEST:
        yield Finding("Python", Verdict.OK, f"{name} is supported.")
    else:
        yield Finding(
            "Python", Verdict.PROBLEM, f"{name} is not supported.", "Use Python 3.11, 3.12 or 3.13."
        )
    pins = _pins(lock.read_text(encoding="utf-8"))
    other = [
        f"{package} is {found}, not {pin}"
        for package, pin in pins.items()
        if (found := _installed(package) or "missing") != pin
    ]
    if other:
        remedy = "Install with `pip install --require-hashes -r requirements.txt`, or run make setup."
        yield Finding("packages", Verdict.WARNING, f"{'; '.join(sorted(other))}.", remedy)
    else:
        yield Finding("packages", Verdict.OK, f"All {len(pins)} packages are as requirements.txt pins them.")


def _pins(lock: str) -> dict[str, str]:
    """Return the versions that a lock pins for this interpreter, by package."""
    found = {}
    for line in re.findall(r"^[A-Za-z0-9].*", lock, re.MULTILINE):
        requirement = Requirement(line.rstrip(" \\"))
        if requirement.marker is None or requirement.marker.evaluate():
            found[requirement.name] = next(iter(requirement.specifier)).version
    return found


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


async def check_account(database: DatabaseProxy, settings: Settings, clock: Clock) -> Iterable[Finding]:
    """Ask the account for the database; compare its clock with this machine's."""
    headers: dict[str, str] = {}

    def note_headers(answered: Mapping[str, str], _: Any = None) -> None:
        headers.update({name.lower(): value for name, value in answered.items()})

    before = clock.now()
    with suppress(CosmosResourceNotFoundError):  # check_containers says it
        await database.read(response_hook=note_headers)
    how = "the key of CosmosDb" if settings.cosmos_connection_string else "an identity"
    findings = [Finding("account", Verdict.OK, f"It answers {how}.")]
    if "date" not in headers:
        return [*findings, Finding("clock", Verdict.SKIPPED, "The account did not tell its time.")]
    return [*findings, clock_finding(parsedate_to_datetime(headers["date"]), before, clock.now())]


def clock_finding(its: datetime, before: datetime, after: datetime) -> Finding:
    """Compare a time in whole seconds, of an answer between two others, with them."""
    early, late = (its - after).total_seconds(), (before - its).total_seconds() - 1
    off = max(early, late, 0.0)
    if off < CLOCK_WARNING:
        return Finding("clock", Verdict.OK, "This machine's clock agrees with the account's.")
    verdict = Verdict.PROBLEM if off >= CLOCK_PROBLEM else Verdict.WARNING
    where = "behind" if early > late else "ahead of"
    return Finding(
        "clock",
        verdict,
        f"This machine's clock is {off:.0f} s {where} the account's.",
        "Set the clock, and keep it with NTP.",
    )


async def check_containers(database: DatabaseProxy, settings: Settings) -> Iterable[Finding]:
    """Compare the containers with the catalogue; their throughput only with a key."""
    plane = KeyPlane(database)
    if settings.cosmos_connection_string:
        plan, throughput = await plan_containers(plane), ""
    else:
        plan, throughput = (
            await _plan_without_throughput(plane),
            ", but for throughput, which needs --account",
        )
    if not plan.database_exists or plan.create:
        missing = (
            ", ".join(plan.create) if plan.database_exists else f"the database {settings.cosmos_database}"
        )
        return [
            Finding("containers", Verdict.PROBLEM, f"Missing: {missing}.", "Run `fleet containers apply`.")
        ]
    differing = [*plan.change, *plan.expire, *plan.impossible]
    if differing:
        remedy = "Look at `fleet containers plan`, then run `fleet containers apply`."
        return [
            Finding("containers", Verdict.WARNING, f"{'; '.join(str(each) for each in differing)}.", remedy)
        ]
    text = f"All {len(plan.unchanged)} containers are as the catalogue says{throughput}."
    return [Finding("containers", Verdict.OK, text)]


async def _plan_without_throughput(plane: KeyPlane) -> Plan:
    exists = await plane.database_exists()
    found = {each.name: await plane.read_properties(each.name) for each in CATALOGUE} if exists else {}
    known = {name: None if one is None else Found(one) for name, one in found.items()}
    return plan_of(CATALOGUE, known, database_exists=exists, can_migrate=False)


async def check_rights(database: DatabaseProxy) -> Iterable[Finding]:
    """Try each action on each container; compare what is allowed with what the functions need."""
    found = await for_each(
        CATALOGUE, lambda each: allowed_actions(database, each), max_concurrency=MAX_CONCURRENT_PROBES
    )
    allowed = {each.name: actions for each, actions in zip(CATALOGUE, found, strict=True)}
    needed = grants_of(Identity.FLEET)
    missing = _listed({name: actions - allowed[name] for name, actions in needed.items()})
    if missing:
        remedy = "Give the identity the rights of infra/roles.json, see docs/how-to/deploy.md."
        return [Finding("rights", Verdict.PROBLEM, f"Missing: {missing}.", remedy)]
    if all(actions == frozenset(Action) for actions in allowed.values()):
        return [Finding("rights", Verdict.OK, "Everything is allowed, as with a key.")]
    for_lifecycle = grants_of(Identity.LIFECYCLE)
    without_need = _listed(
        {
            name: actions - needed.get(name, frozenset()) - for_lifecycle.get(name, frozenset())
            for name, actions in allowed.items()
        }
    )
    if without_need:
        text = f"Allowed, and no function needs it: {without_need}."
        return [
            Finding("rights", Verdict.WARNING, text, "Remove these rights: infra/roles.json has the others.")
        ]
    return [Finding("rights", Verdict.OK, "Exactly what the functions need is allowed.")]


def _listed(rights: Mapping[str, Iterable[Action]]) -> str:
    return "; ".join(
        f"{', '.join(sorted(action.name.lower() for action in actions))} in {name}"
        for name, actions in rights.items()
        if actions
    )


async def check_state(database: DatabaseProxy, settings: Settings) -> Iterable[Finding]:
    """Compare the settings with the recorded generation, and ``view_state`` with its mark."""
    container = database.get_container_client
    generations = Generations(container(FLEET_STATE), settings)
    mark = StateMark(container(VIEW_STATE), container(FLEET_STATE), settings, generations=generations)
    try:
        recorded = await generations.check()
        await mark.check()
    except SettingsError as error:
        return [Finding("state", Verdict.PROBLEM, line_of(error))]
    if recorded is None:
        text = f"Generation {settings.generation} has not begun: no function has run yet."
        return [
            Finding("state", Verdict.WARNING, text, "It begins with the first invocation of any function.")
        ]
    return [Finding("state", Verdict.OK, f"Generation {settings.generation} is the recorded one.")]


async def check_leases(database: DatabaseProxy, settings: Settings, clock: Clock) -> Iterable[Finding]:
    """Look whether hosts hold the leases of the triggers, by when they renewed them."""
    leases = await read_leases(database.get_container_client("change_feed_leases"), settings.generation)
    if not leases:
        text = f"There is no lease of generation {settings.generation}: no host has run its triggers yet."
        return [Finding("leases", Verdict.WARNING, text, "Start the function app.")]
    now = clock.now().astimezone(UTC)
    held = [
        lease
        for lease in leases
        if lease.owner and lease.renewed_at and (now - lease.renewed_at).total_seconds() < SILENT_SECONDS
    ]
    owners = len({lease.owner for lease in held})
    if len(held) == len(leases):
        return [Finding("leases", Verdict.OK, f"All {len(leases)} are held, by {owners} hosts.")]
    verdict = Verdict.WARNING if held else Verdict.PROBLEM
    latest = max((lease.renewed_at for lease in leases if lease.renewed_at), default=None)
    text = f"{len(leases) - len(held)} of {len(leases)} leases are not held"
    text += f"; the last renewal was at {latest.isoformat(timespec='seconds')}." if latest else "."
    remedy = "Look whether the function app runs, and at its log."
    return [Finding("leases", verdict, text, remedy)]
