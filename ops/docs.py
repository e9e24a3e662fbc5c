"""``fleet docs``: the reference pages that are written from the code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ops.cost_page import cost_page
from ops.fields import fields_page
from ops.infra import containers_file, roles_file
from ops.scores import scores_page
from ops.source_fields import source_fields_page
from terminal.output import Exit, commands, fail

docs_cli = commands("Reference pages and files of infra/, written from the code.")

Check = Annotated[Path | None, typer.Option(help="Exit with 1 if this file is not up to date.")]


@docs_cli.command("fields")
def fields(check: Check = None) -> None:
    """Print the reference of all fields of all views, docs/fields.md."""
    _reference(fields_page(), "fields", check)


@docs_cli.command("scores")
def scores(check: Check = None) -> None:
    """Print the reference of all scores, docs/scores.md."""
    _reference(scores_page(), "scores", check)


@docs_cli.command("sources")
def sources(check: Check = None) -> None:
    """Print the reference of the sources' fields by class, docs/sources.md."""
    _reference(source_fields_page(), "sources", check)


@docs_cli.command("containers")
def containers(check: Check = None) -> None:
    """Print the containers for the templates, infra/containers.json, as JSON."""
    _reference(containers_file(), "containers", check)


@docs_cli.command("roles")
def roles(check: Check = None) -> None:
    """Print who may do what in them, infra/roles.json, as JSON."""
    _reference(roles_file(), "roles", check)


@docs_cli.command("cost")
def cost(check: Check = None) -> None:
    """Print the page of estimated costs, docs/cost.md."""
    _reference(cost_page(), "cost", check)


def _reference(page: str, command: str, check: Path | None) -> None:
    if check is None:
        sys.stdout.write(page)
    elif not check.exists() or check.read_text(encoding="utf-8") != page:
        fail(f"{check} is out of date: run .venv/bin/fleet docs {command} > {check}", Exit.REFUSED)
