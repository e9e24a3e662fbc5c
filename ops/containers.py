"""``fleet containers``: the containers of the catalogue."""

from __future__ import annotations

from ops.console import USER_AGENT, report_json, reported
from shared.cosmos.client import connect
from shared.cosmos.provisioning import ProvisioningReport, apply_catalogue
from shared.settings import load_settings
from terminal.output import AsJson, commands, note, print_json, say

containers_cli = commands("The containers that the fleet needs.")


@containers_cli.callback()
def containers() -> None:
    """The containers that the fleet needs."""


@containers_cli.command("apply")
def apply_containers(as_json: AsJson = False) -> None:
    """Create the database and missing containers. Existing containers are not changed.

    Differences from the catalogue are printed, not repaired. Exit code 0 in both cases.
    """

    async def work() -> ProvisioningReport:
        settings = load_settings()
        async with connect(settings, user_agent=USER_AGENT) as client:
            return await apply_catalogue(client, settings.cosmos_database)

    report: ProvisioningReport = reported(work)
    if as_json:
        print_json(report_json(report))
        return
    for name in report.created:
        say(f"created {name}")
    for drift in report.drifted:
        note(f"differs: {drift}")
    say(f"{len(report.created)} created, {len(report.unchanged)} as the catalogue says.")
