"""``fleet containers``: the containers of the catalogue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer

from ops.console import USER_AGENT, report_json, reported
from shared.cosmos.client import connect
from shared.cosmos.container_plan import Drift, Plan
from shared.cosmos.identity import environment_identity
from shared.cosmos.provisioning import (
    ControlPlane,
    KeyPlane,
    ProvisioningReport,
    apply_plan,
    plan_containers,
)
from shared.cosmos.resource_manager import ResourceManagerPlane
from shared.errors import SettingsError
from shared.settings import load_settings
from terminal.output import AsJson, Exit, commands, note, print_json, print_table, say
from terminal.tables import Table, whole

containers_cli = commands("The containers that the fleet needs.")

Account = Annotated[
    str | None,
    typer.Option(
        envvar="COSMOS_ACCOUNT_ID",
        help="The account's resource id. The command then uses Azure Resource Manager and the identity of "
        "az login, not the key in CosmosDb.",
    ),
]
AllowExpiry = Annotated[
    bool, typer.Option("--allow-expiry", help="Make changes too by which documents expire at once.")
]


@containers_cli.command("plan")
def show_plan(account: Account = None, as_json: AsJson = False) -> None:
    """Show what apply would do, and change nothing. Exit code 1 if there is something to do."""
    plan: Plan = _on_plane(account, plan_containers)
    if as_json:
        print_json(asdict(plan))
    else:
        _print_plan(plan)
    if not plan.is_done:
        raise typer.Exit(Exit.REFUSED)


@containers_cli.command("apply")
def apply_containers(
    account: Account = None, allow_expiry: AllowExpiry = False, as_json: AsJson = False
) -> None:
    """Bring the database to the catalogue: create what is missing, change TTL, index and throughput.

    The plan is printed first. Differences that cannot be changed in place stay, and so do changes by which
    documents expire at once, without --allow-expiry. Exit code 1 if differences are left.
    """

    async def work(plane: ControlPlane) -> ProvisioningReport:
        plan = await plan_containers(plane)
        if not as_json:
            _print_plan(plan)
        return await apply_plan(plane, plan, allow_expiry=allow_expiry)

    report: ProvisioningReport = _on_plane(account, work)
    if as_json:
        print_json(report_json(report))
    else:
        _print_report(report)
    if report.drifted:
        raise typer.Exit(Exit.REFUSED)


def _on_plane(account: str | None, work: Callable[[ControlPlane], Awaitable[Any]]) -> Any:
    async def connected() -> Any:
        async with _plane(account) as plane:
            return await work(plane)

    return reported(connected)


@asynccontextmanager
async def _plane(account: str | None) -> AsyncIterator[ControlPlane]:
    if account:
        name = load_settings(need_account=False).cosmos_database
        async with ResourceManagerPlane(
            account, name, environment_identity(), user_agent=USER_AGENT
        ) as plane:
            yield plane
        return
    settings = load_settings()
    if not settings.cosmos_connection_string:
        raise SettingsError(
            "The identity of CosmosDb__accountEndpoint cannot create or change containers. Give --account "
            "with the account's resource id, or set CosmosDb to its connection string."
        )
    async with connect(settings, user_agent=USER_AGENT) as client:
        yield KeyPlane(client.get_database_client(settings.cosmos_database), client)


def _print_plan(plan: Plan) -> None:
    if not plan.database_exists:
        say("The database does not exist: create it.")
    for name in plan.create:
        say(f"create {name}")
    _print_drifts("Change", plan.change)
    _print_drifts("Change, so that documents expire at once (needs --allow-expiry)", plan.expire)
    _print_drifts("Cannot be changed in place", plan.impossible)
    for remedy in sorted({drift.remedy for drift in plan.impossible if drift.remedy}):
        note(f"{remedy[0].upper()}{remedy[1:]}.")
    say(f"{len(plan.unchanged)} containers are as the catalogue says.")


def _print_drifts(title: str, drifts: list[Drift]) -> None:
    if not drifts:
        return
    table = Table(whole("container"), whole("property"), "from", "to", title=title)
    for drift in drifts:
        table.add(drift.container, drift.prop, _shown(drift.found), _shown(drift.expected))
    print_table(table)


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return ", ".join(map(_shown, value)) if isinstance(value, list | tuple) else str(value)


def _print_report(report: ProvisioningReport) -> None:
    for drift in report.drifted:
        note(f"differs: {drift}")
    for refusal in report.refused:
        note(f"refused: {refusal}")
    say(
        f"{len(report.created)} created, {len(report.changed)} properties changed, "
        f"{len(report.drifted)} differences left."
    )
