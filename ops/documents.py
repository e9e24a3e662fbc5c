"""``fleet documents``: read and replace a source document, to repair it."""

from __future__ import annotations

import getpass
import json
import sys
from typing import Annotated, Any

import typer

from ops.console import report_json, run
from shared.fleet.wiring import Fleet
from shared.ingest.sources import SOURCES
from shared.maintenance.repair import PutReport
from terminal.output import AsJson, commands, note, print_json, say

documents_cli = commands("Documents of the sources, read and replaced to repair them.")

MAX_BYTES = 2 * 1024 * 1024
"""The largest document that the service stores."""

SourceName = Annotated[str, typer.Argument(help=f"The container: {', '.join(SOURCES)}.", metavar="SOURCE")]


@documents_cli.command("get")
def get_document(
    source: Annotated[str | None, typer.Argument(help=f"The container: {', '.join(SOURCES)}.")] = None,
    document_id: Annotated[str | None, typer.Argument(help="Id of the document.")] = None,
    user_id: Annotated[str | None, typer.Argument(help="Its user_id, which is its partition key.")] = None,
    poison: Annotated[str, typer.Option(help="Instead: id of a poison row, or its unique beginning.")] = "",
) -> None:
    """Print a source document as JSON, with its etag. It contains personal data.

    Write it to a file, correct it there, and put it back.
    """
    if bool(poison) == any((source, document_id, user_id)) or (source and not (document_id and user_id)):
        raise typer.BadParameter("name the source, the id and the user_id, or a row with --poison")

    async def work(fleet: Fleet) -> tuple[str, dict[str, Any]]:
        if poison:
            return await fleet.repairer.get_of_row(await fleet.poison.find(poison))
        assert source and document_id and user_id  # noqa: S101, PT018  checked above
        return source, await fleet.repairer.get(source, document_id, user_id)

    found, document = run(work)
    print_json(document)
    note(f"Put it back with: fleet documents put {found} FILE")


@documents_cli.command("put")
def put_document(
    source: SourceName,
    file: Annotated[str, typer.Argument(help="File with the whole document as JSON; - is standard input.")],
    check: Annotated[
        bool, typer.Option(help="Refuse a version that the fleet could not count, before writing it.")
    ] = True,
    by: Annotated[str, typer.Option("--by", help="Who repairs it; the login's name if empty.")] = "",
    as_json: AsJson = False,
) -> None:
    """Replace a source document, unless it was changed after it was read. Then replay its poison row."""
    document = _read(file)
    report: PutReport = run(
        lambda fleet: fleet.repairer.put(source, document, by=by or getpass.getuser(), check=check)
    )
    if as_json:
        print_json(report_json(report))
        return
    say(f"{report.id} replaced.")
    if report.replayed:
        say(f"{report.replayed} replayed")


def _read(file: str) -> dict[str, Any]:
    try:
        if file == "-":
            text = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with open(file, "rb") as opened:
                text = opened.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise typer.BadParameter(f"{file} has more than {MAX_BYTES:,} bytes")
        document = json.loads(text, parse_constant=_refuse)
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{file} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise typer.BadParameter(f"{file} is not a JSON object")
    return document


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number of JSON")
