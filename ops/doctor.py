"""``fleet doctor``: what is wrong with the settings, the account and the containers, and what to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict

import typer
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from ops import checkup
from ops.checkup import Finding, Verdict
from ops.checkup_settings import README, check_settings, check_storage
from ops.console import NOT_ALLOWED, USER_AGENT, reported
from shared.clock import SYSTEM_CLOCK
from shared.cosmos.client import connect
from shared.cosmos.retries import is_service_fault
from shared.errors import NotReadyError, SettingsError, line_of
from shared.settings import Settings, load_settings
from terminal.output import AsJson, Exit, print_json, print_table, say
from terminal.tables import Table, detail, whole

Check = Callable[[], Awaitable[Iterable[Finding]]]


def doctor(as_json: AsJson = False) -> None:
    """Look at settings, identity, rights, containers, leases, storage, versions and clock; change nothing.

    Exit code 1 if there is a problem, 2 if the settings cannot be used or the account refuses their key or
    identity, 3 if the account does not answer.
    """
    findings, code = reported(_findings)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        _print(findings)
    if code is not Exit.DONE:
        raise typer.Exit(code)


async def _findings() -> tuple[list[Finding], Exit]:
    findings = list(checkup.check_versions())
    try:
        settings = load_settings()
    except SettingsError as error:
        findings.append(Finding("settings", Verdict.PROBLEM, line_of(error), README))
        return findings, Exit.USAGE
    findings += check_settings(settings)
    findings += await check_storage(settings)
    try:
        async with connect(settings, user_agent=USER_AGENT) as client:
            database = client.get_database_client(settings.cosmos_database)
            findings += await checkup.check_account(database, settings, SYSTEM_CLOCK)
            checks: dict[str, Check] = {
                "containers": lambda: checkup.check_containers(database, settings),
                "rights": lambda: checkup.check_rights(database),
                "state": lambda: checkup.check_state(database, settings),
                "leases": lambda: checkup.check_leases(database, settings, SYSTEM_CLOCK),
            }
            for subject, check in checks.items():
                if findings[-1].subject == "containers" and findings[-1].verdict is Verdict.PROBLEM:
                    break  # without containers nothing else can be looked at
                findings += await _found(subject, check)
    except SettingsError as error:
        findings.append(Finding("settings", Verdict.PROBLEM, line_of(error), README))
        return findings, Exit.USAGE
    except Exception as error:
        if not isinstance(error, AzureError) and not is_service_fault(error):
            raise
        finding, code = _unreachable(error, settings)
        return [*findings, finding], code
    wrong = any(finding.verdict is Verdict.PROBLEM for finding in findings)
    return findings, Exit.REFUSED if wrong else Exit.DONE


async def _found(subject: str, check: Check) -> Iterable[Finding]:
    """Return what a check finds. What the account refuses it is a finding as well."""
    try:
        return await check()
    except (AzureError, NotReadyError) as error:
        return [Finding(subject, Verdict.PROBLEM, f"Not to be looked at: {_first_line(error)}")]


def _unreachable(error: Exception, settings: Settings) -> tuple[Finding, Exit]:
    has_key = settings.cosmos_connection_string is not None
    refused = isinstance(error, HttpResponseError) and error.status_code in NOT_ALLOWED
    if refused or isinstance(error, ClientAuthenticationError):
        text = f"It refuses the {'key' if has_key else 'identity'}: {_first_line(error)}"
        remedy = (
            "Set CosmosDb with the read-write key." if has_key else "Look at the identity and its rights."
        )
        return Finding("account", Verdict.PROBLEM, text, remedy), Exit.USAGE
    name = "CosmosDb" if has_key else "CosmosDb__accountEndpoint"
    text = f"It does not answer: {_first_line(error)}"
    remedy = f"Look at {name}, the network and the account's firewall."
    return Finding("account", Verdict.PROBLEM, text, remedy), Exit.UNREACHABLE


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip() or type(error).__name__


def _print(findings: Iterable[Finding]) -> None:
    table = Table(whole("subject"), whole("verdict"), "finding", detail("what to do"))
    for finding in findings:
        table.add(finding.subject, finding.verdict, finding.text, finding.remedy)
    print_table(table)
    problems = sum(finding.verdict is Verdict.PROBLEM for finding in findings)
    warnings = sum(finding.verdict is Verdict.WARNING for finding in findings)
    say(f"{problems} problems, {warnings} warnings.")
