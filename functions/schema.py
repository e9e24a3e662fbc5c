"""The migration of a container's documents, as a durable orchestration that an operator starts over HTTP."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from functions.orchestrations import start_once
from functions.runtime import fleet
from shared.cosmos.deadlines import deadline
from shared.cosmos.retries import INVOCATION_SECONDS, RUN_SECONDS
from shared.errors import MigrationError, line_of
from shared.maintenance.migrate_document import require_version
from shared.rights import Identity

blueprint = df.Blueprint()

PAUSE_MS, ATTEMPTS = 60_000, 60
"""Pauses of a piece that failed, and how often it is tried: for an hour."""

MAX_BODY_BYTES = 10_000
MAX_RU_PER_SECOND = 1_000_000
"""More than a container is given without asking the service's support."""


@blueprint.function_name("start_migration")
@blueprint.route(route="schema/migrations", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@blueprint.durable_client_input(client_name="client")
async def start_migration(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Start a migration: ``{"container": …, "to": …, "ru_per_second": …}``. Answer where its status is.

    A migration of the container that is at work is not started again.
    """
    try:
        order = _order(req.get_body())
    except (ValueError, KeyError, TypeError, RecursionError):
        return _refused('body: is not of the form {"container": "users", "to": "1.0", "ru_per_second": 100}')
    except MigrationError as error:
        return _refused(line_of(error))
    instance = f"migration-{order['container']}"
    await start_once(client, "migrate_documents", instance, order)
    answer: func.HttpResponse = client.create_check_status_response(req, instance)
    return answer


@blueprint.function_name("migrate_documents")
@blueprint.orchestration_trigger(context_name="context")
def migrate_documents(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Migrate a container piece by piece. Each piece is a new execution, so that the history stays short."""
    order = context.get_input()
    retries = df.RetryOptions(PAUSE_MS, ATTEMPTS)
    done = yield context.call_activity_with_retry("migrate_piece", retries, order)
    context.set_custom_status(done)
    if not done["finished"]:
        context.continue_as_new(order)
        return None
    return done


@blueprint.function_name("migrate_piece")
@blueprint.activity_trigger(input_name="order")
@deadline(INVOCATION_SECONDS)
async def migrate_piece(order: dict) -> dict[str, Any]:  # type: ignore[type-arg]  # the worker reads it
    """Continue a migration for less than a minute; return what is done. No ids of documents are in it."""
    report = await (await fleet(Identity.LIFECYCLE)).migrator.migrate(
        order["container"], order["to"], ru_per_second=order["ru_per_second"], budget_seconds=RUN_SECONDS
    )
    return {"finished": report.finished, **report.tally.encode()}


def _order(raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_BODY_BYTES:
        raise ValueError
    body = json.loads(raw)
    container, to, rate = str(body["container"]), str(body["to"]), body.get("ru_per_second")
    if rate is not None and (isinstance(rate, bool) or not 1 <= rate <= MAX_RU_PER_SECOND):
        raise ValueError
    require_version(container, to)
    return {"container": container, "to": to, "ru_per_second": rate}


def _refused(text: str) -> func.HttpResponse:
    return func.HttpResponse(json.dumps({"error": text}), status_code=400, mimetype="application/json")
