"""HTTP: probes of health and readiness, and the poison container for operators."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Collection
from math import ceil
from typing import Any

import azure.functions as func
import structlog

from functions.runtime import check_ready, fleet
from shared.cosmos.deadlines import deadline
from shared.cosmos.retries import HTTP_SECONDS, UnavailableError, is_service_fault
from shared.errors import (
    TEMPORARY,
    BadRequestError,
    FleetError,
    NotReadyError,
    PoisonNotFoundError,
    QueryError,
    RequestNotFoundError,
    SettingsError,
    line_of,
)
from shared.poison.rows import Status
from shared.poison.selection import Selection

blueprint = func.Blueprint()

MAX_LISTED = 1_000
MAX_NAME = 100
MAX_BODY_BYTES = 10_000

UNAVAILABLE = 503

RETRY_AFTER_SECONDS = 5
"""What a 503 asks for if the database did not say for how long to wait."""

PLATFORM_PARAMETERS = frozenset({"code", "clientId"})
"""Query parameters in which the platform accepts a function key."""

_log = structlog.get_logger(__name__)


@blueprint.function_name("health")
@blueprint.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """Answer that the process runs. Uses no other resource, because the endpoint is anonymous."""

    async def answer() -> Any:
        return {"status": "alive"}

    return await answered(req, answer)


@blueprint.function_name("ready")
@blueprint.route(route="ready", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def ready(req: func.HttpRequest) -> func.HttpResponse:
    """Answer whether this process can do its work: 503 with what to do if it cannot.

    The answer names settings and containers, and neither values nor the account, because the endpoint is
    anonymous. It is kept for some seconds, so that requests cost nothing.
    """

    async def answer() -> Any:
        await check_ready()
        return {"status": "ready"}

    return await answered(req, answer)


@blueprint.function_name("list_poison")
@blueprint.route(route="poison", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def list_poison(req: func.HttpRequest) -> func.HttpResponse:
    """List poison documents without their content: ``?status=pending&limit=100``."""

    async def answer() -> Any:
        selection, limit = Selection(_status(req.params.get("status"))), _limit(req.params.get("limit"))
        return [row async for row in (await fleet()).poison.list(selection, limit=limit)]

    return await answered(req, answer, parameters=("status", "limit"))


@blueprint.function_name("get_poison")
@blueprint.route(route="poison/{poison_id}", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def get_poison(req: func.HttpRequest) -> func.HttpResponse:
    """Return one poison document with its content."""

    async def answer() -> Any:
        return await (await fleet()).poison.get(_poison_id(req))

    return await answered(req, answer)


@blueprint.function_name("settle_poison")
@blueprint.route(route="poison/{poison_id}/{action}", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
async def settle_poison(req: func.HttpRequest) -> func.HttpResponse:
    """Replay, resolve or discard a poison document. The body names the operator: ``{"by": "name"}``.

    A replay with ``"stored_copy": true`` folds the row's copy if the document no longer exists.
    """

    async def answer() -> Any:
        row_id, body, here = _poison_id(req), _body(req), await fleet()
        by = body["by"]
        match req.route_params.get("action"):
            case "replay":
                row = await here.replayer.replay(row_id, by=by, stored_copy=body.get("stored_copy", False))
            case "resolve":
                row = await here.poison.set_status(row_id, Status.RESOLVED, by=by)
            case "discard":
                row = await here.poison.set_status(row_id, Status.DISCARDED, by=by)
            case _:
                raise BadRequestError("action: is not replay, resolve or discard")
        return {key: row[key] for key in ("id", "status", "status_changed_at", "status_changed_by")}

    return await answered(req, answer)


async def answered(
    req: func.HttpRequest,
    answer: Callable[[], Awaitable[Any]],
    *,
    parameters: Collection[str] = (),
    status: int = 200,
) -> func.HttpResponse:
    """Return the answer, or why there is none, within the time that a caller waits.

    Parameters
    ----------
    parameters
        The query parameters of the route. A request with others is refused: a misspelt filter would return
        everything.
    status
        The status of an answer.
    """
    try:
        _check_parameters(req, parameters)
        async with deadline(HTTP_SECONDS):
            return _json(await answer(), status)
    except Exception as error:
        refused = _status_of(error)
        if refused is None:
            raise
        return _unavailable(error) if refused == UNAVAILABLE else _json({"error": _text_of(error)}, refused)


def _status_of(error: Exception) -> int | None:
    """Return the status that tells a caller of an error, None for a fault of this program."""
    if isinstance(error, BadRequestError | QueryError):
        return 400
    if isinstance(error, PoisonNotFoundError | RequestNotFoundError):
        return 404
    if isinstance(error, (SettingsError, NotReadyError, *TEMPORARY)) or is_service_fault(error):
        return UNAVAILABLE
    return 409 if isinstance(error, FleetError) else None


def _text_of(error: Exception) -> str:
    """Return what to tell a caller. Only the fleet's own errors are quoted."""
    if isinstance(error, UnavailableError):
        return f"The database did not do as asked: {error}."
    return line_of(error) if isinstance(error, FleetError) else "The database did not do as asked."


def _unavailable(error: Exception) -> func.HttpResponse:
    """Say that a later request may succeed, and when."""
    asked = error.retry_after if isinstance(error, UnavailableError) else 0.0
    _log.warning("http_unavailable", error_type=type(error).__name__)
    retry_after = max(1, ceil(asked)) if asked else RETRY_AFTER_SECONDS
    return _json({"error": _text_of(error)}, UNAVAILABLE, {"Retry-After": str(retry_after)})


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> func.HttpResponse:
    return func.HttpResponse(
        json.dumps(body),
        status_code=status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        mimetype="application/json",
    )


def _check_parameters(req: func.HttpRequest, known: Collection[str]) -> None:
    if set(req.params) - set(known) - PLATFORM_PARAMETERS:
        names = ", ".join(known) or "none"
        raise BadRequestError(f"query: has a parameter that is not known; the known ones: {names}")


def _poison_id(req: func.HttpRequest) -> str:
    row_id = str(req.route_params.get("poison_id"))
    if not re.fullmatch(r"poison_[0-9a-f]{32}", row_id):
        raise BadRequestError("poison_id: is not of the form poison_<32 hex digits>")
    return row_id


def _body(req: func.HttpRequest) -> dict[str, Any]:
    raw = req.get_body()
    if len(raw) > MAX_BODY_BYTES:
        raise BadRequestError(f"body: {len(raw)} bytes, more than {MAX_BODY_BYTES}")
    try:
        body = json.loads(raw)
        by = body["by"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadRequestError('body: is not of the form {"by": "name"}') from None
    # Half of a surrogate pair, which no service stores, is not printable either.
    if not isinstance(by, str) or not 0 < len(by) <= MAX_NAME or not by.isprintable() or by.isspace():
        raise BadRequestError(f"by: is not a name of 1 to {MAX_NAME} printable characters")
    if not isinstance(body.get("stored_copy", False), bool):
        raise BadRequestError("stored_copy: is not true or false")
    return dict(body)


def _status(text: str | None) -> Status | None:
    if text is None:
        return None
    try:
        return Status(text)
    except ValueError:
        raise BadRequestError(f"status: is not one of {', '.join(Status)}") from None


def _limit(text: str | None) -> int:
    if text is None:
        return 100
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 0 < int(text) <= MAX_LISTED:
        raise BadRequestError(f"limit: is not a whole number from 1 to {MAX_LISTED}")
    return int(text)
