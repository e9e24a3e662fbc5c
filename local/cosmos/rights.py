"""Access by identity: what the bearer of a token may do, in the service's own data actions.

The service refuses everything else to an identity: to create or change a container, to read or change its
throughput, to delete a logical partition. So does this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import orjson

from local.cosmos.errors import ServiceError, bad_request
from local.cosmos.routing import Target
from local.cosmos.wire import Request

_PREFIX = "type=aad&ver=1.0&sig="
_ACCOUNT = "Microsoft.DocumentDB/databaseAccounts"
_CONTAINERS = f"{_ACCOUNT}/sqlDatabases/containers"

READ_METADATA = f"{_ACCOUNT}/readMetadata"

DATA_ACTIONS = {
    "create": f"{_CONTAINERS}/items/create",
    "read": f"{_CONTAINERS}/items/read",
    "replace": f"{_CONTAINERS}/items/replace",
    "upsert": f"{_CONTAINERS}/items/upsert",
    "delete": f"{_CONTAINERS}/items/delete",
    "query": f"{_CONTAINERS}/executeQuery",
    "query_plan": f"{_CONTAINERS}/executeQuery",
    "change_feed": f"{_CONTAINERS}/readChangeFeed",
    # The service documents no action for a patch. That it takes the one of a replace is an assumption.
    "patch": f"{_CONTAINERS}/items/replace",
}
"""The data action of an operation on items."""

METADATA_OPERATIONS = frozenset({"get_account", "get_dbs", "get_colls", "get_pkranges"})

AAD_FORBIDDEN = 5300
"""Sub-status of an operation that an identity has no right to."""

Grants = Mapping[str, frozenset[str]]
"""The data actions of a token, by container. Those under an empty name hold for the database."""

Book = dict[str, set[tuple[str, str]]]
"""Containers and data actions, by token."""


def token_of(request: Request) -> str | None:
    """Return the token that a request carries, None if it is signed with a key."""
    text = unquote(request.headers.get("authorization", ""))
    return text.removeprefix(_PREFIX) if text.startswith(_PREFIX) else None


class Rights:
    """The tokens that this server knows, and the rights that were used."""

    def __init__(self) -> None:
        self._grants: dict[str, Grants] = {}
        self._used: Book = {}
        self._refused: Book = {}

    def set(self, body: Any) -> int:
        """Replace all tokens: ``{"tokens": {"<token>": {"<container>": ["<data action>", …]}}}``.

        Raises
        ------
        ServiceError
            400: the body has another form.
        """
        try:
            self._grants = {
                token: {name: frozenset(actions) for name, actions in grants.items()}
                for token, grants in body["tokens"].items()
            }
        except (KeyError, TypeError, AttributeError):
            raise bad_request('The body must be {"tokens": {"<token>": {"<container>": [..]}}}.') from None
        self._used, self._refused = {}, {}
        return len(self._grants)

    def rows(self) -> dict[str, dict[str, dict[str, list[str]]]]:
        """Return the data actions that each token used, and those it was refused, by container."""
        return {"used": _rows(self._used), "refused": _rows(self._refused)}

    def check(self, token: str, target: Target, operation: str, request: Request) -> None:
        """Check a request of a token.

        Raises
        ------
        ServiceError
            401: no such token; 403: it lacks a right, or no identity can have it.
        """
        grants = self._grants.get(token)
        if grants is None:
            raise ServiceError(401, "The token of the request is not known here.")
        for action in _needed(operation, request):
            container = "" if action == READ_METADATA else target.container
            if action not in grants.get(container, frozenset()):
                self._refused.setdefault(token, set()).add((container, action))
                raise _forbidden(f"perform action [{action}] on resource [{target.link}]")
            self._used.setdefault(token, set()).add((container, action))


def _rows(book: Book) -> dict[str, dict[str, list[str]]]:
    rows: dict[str, dict[str, list[str]]] = {}
    for token, pairs in book.items():
        for container, action in sorted(pairs):
            rows.setdefault(token, {}).setdefault(container, []).append(action)
    return rows


def _needed(operation: str, request: Request) -> list[str]:
    if operation in METADATA_OPERATIONS:
        return [READ_METADATA]
    if operation == "batch":
        return [_of_batch(each) for each in orjson.loads(request.body)]
    action = DATA_ACTIONS.get(operation)
    if action is None:
        raise _forbidden(f"perform [{operation}], which needs the account's key or Azure Resource Manager")
    return [action]


def _of_batch(operation: Mapping[str, Any]) -> str:
    kind = str(operation.get("operationType", "")).lower()
    if kind not in DATA_ACTIONS:
        raise bad_request(f"A batch has no operation {kind!r}.")
    return DATA_ACTIONS[kind]


def _forbidden(what: str) -> ServiceError:
    return ServiceError(
        403,
        f"Request blocked by Auth: the given request cannot be authorized by the token's role to {what}.",
        sub_status=AAD_FORBIDDEN,
    )
