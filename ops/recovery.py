"""``fleet recovery``: rehearse a recovery from a backup, and measure it."""

from __future__ import annotations

import signal
import threading
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from ops.console import USER_AGENT, reported
from ops.rehearsal import Rehearsal, RehearsalReport
from shared.settings import load_settings
from terminal.output import AsJson, Exit, commands, fail, print_json, print_table, progress, say
from terminal.tables import Table, number, whole

recovery_cli = commands("Recovery from a backup.")


@recovery_cli.callback()
def recovery() -> None:
    """Keep ``rehearse`` a command of its group, although it is the only one."""


@recovery_cli.command("rehearse")
def rehearse(as_json: AsJson = False) -> None:
    """Export the database, restore it into an empty one, recover the fleet there, and compare.

    Only the local server is accepted. The database of the stack is read; what is restored is deleted at the
    end, also if the command is interrupted. Exit code 1 if documents or figures differ.
    """
    if threading.current_thread() is threading.main_thread():
        # The export holds personal data: SIGTERM has to delete it as Ctrl-C does. A shell lets commands in
        # its background ignore Ctrl-C, and with it what stands for it here.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))

    async def work() -> RehearsalReport:
        with progress("recovery") as advance, TemporaryDirectory(prefix="rehearsal-") as folder:
            rehearsal = Rehearsal(load_settings(), Path(folder), user_agent=USER_AGENT)
            return await rehearsal.run(lambda done, of, step: advance(done, of, step))

    report: RehearsalReport = reported(work)
    if as_json:
        print_json(asdict(report) | {"recovered": report.recovered})
    else:
        _print(report)
    if not report.recovered:
        fail("What was recovered differs, see above.", Exit.REFUSED)


def _print(report: RehearsalReport) -> None:
    table = Table(whole("container"), number("exported"), number("expired"), number("restored"), "equal")
    for name, each in report.containers.items():
        table.add(name, each.exported, each.expired, each.restored, "yes" if each.equal else "no")
    print_table(table)
    table = Table(whole("view"), number("before"), number("after"), number("recounted"), number("different"))
    for name, view in report.views.items():
        table.add(name, view.before, view.after, view.recounted, view.different)
    print_table(table)
    table = Table(whole("step"), number("seconds"))
    for name, seconds in report.seconds.items():
        table.add(name, round(seconds, 1))
    print_table(table)
    say(f"{report.tombstones} tombstones were written again.")
    if report.fields:
        say(f"Fields that differ: {', '.join(report.fields)}")
    say(
        f"Recovered in {report.rto_seconds:.1f} s (RTO of this run). The backup began "
        f"{report.rpo_seconds:.1f} s before the loss (RPO of this run); "
        f"{report.lost} later documents of the sources are lost."
    )
