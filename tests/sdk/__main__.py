"""``make sdk-tests``: how much of the SDK's own tests passes against the local database server."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from local.console import notes, output
from tests.sdk.areas import AREAS, files, reasons
from tests.sdk.runner import Tally, run_file
from tests.sdk.source import SourceError, fetched

CACHE = Path(__file__).parents[2] / ".local" / "sdk-tests"
AIM = 0.9


def main(
    area: Annotated[list[str] | None, typer.Option(help="Only this area; may be repeated.")] = None,
    at_once: Annotated[int, typer.Option(min=1, max=8, help="Files at a time.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print the account as JSON.")] = False,
) -> None:
    """Run the SDK's published tests against the local server; exit 1 if fewer than 90 % pass."""
    unknown = [name for name in area or () if name not in AREAS]
    if unknown:
        notes().print(f"error: --area {unknown[0]!r} is not one of {', '.join(AREAS)}")
        raise typer.Exit(2)
    try:
        folder = fetched(CACHE)
    except SourceError as error:
        notes().print(f"error: {error}")
        raise typer.Exit(2) from None
    account = run({name: files(folder, name) for name in area or AREAS}, at_once)
    total = Tally()
    for tally in account.values():
        total.add(tally)
    if as_json:
        output().print_json(
            json.dumps({name: _as_json(tally) for name, tally in {**account, "all": total}.items()})
        )
    else:
        _print(account, total)
    raise typer.Exit(0 if (total.share or 0) >= AIM else 1)


def run(plan: dict[str, list[Path]], at_once: int) -> dict[str, Tally]:
    """Run all files, and say on the way what is done."""
    known, progress = reasons(), notes()
    account = {name: Tally() for name in plan}

    def one(name: str, path: Path) -> None:
        tally = run_file(path, known)
        account[name].add(tally)
        progress.print(f"{path.stem}: {tally.passed} of {tally.ran} passed, {tally.skipped} skipped")

    with ThreadPoolExecutor(at_once) as pool:
        for done in [pool.submit(one, name, path) for name, paths in plan.items() for path in paths]:
            done.result()
    return account


def _as_json(tally: Tally) -> dict[str, object]:
    return {
        "passed": tally.passed,
        "ran": tally.ran,
        "skipped": tally.skipped,
        "share": tally.share,
        "failures": [
            {"test": failure.test, "message": failure.message, "why": failure.why}
            for failure in tally.failures
        ],
    }


def _print(account: dict[str, Tally], total: Tally) -> None:
    console = output()
    table = Table("area", "passed", "ran", "share", "skipped by the SDK")
    for name, tally in {**account, "all": total}.items():
        share = "" if tally.share is None else f"{tally.share:.1%}"
        table.add_row(name, str(tally.passed), str(tally.ran), share, str(tally.skipped))
    console.print(table)
    for why, count in total.by_reason().most_common():
        console.print(f"{count:4} {why}")
    for failure in total.failures:
        if failure.why is None:
            console.print(f"{failure.test}: {failure.message}", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
