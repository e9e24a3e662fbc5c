"""What the templates in `infra/` read of the catalogue: its containers, and who may do what in them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from shared.containers import CATALOGUE, Container
from shared.rights import READ_METADATA, ROLES, Action, Grants, Identity, grants_of

PARTITION_KEY_VERSION = 2
"""The service's version for keys of up to 2,048 bytes, which its SDKs choose too."""


def containers_file() -> str:
    """Return `infra/containers.json`: of each container what Azure Resource Manager is told."""
    return _json([_container(each) for each in CATALOGUE])


def roles_file() -> str:
    """Return `infra/roles.json`: role definitions, and which identity or person has which where.

    A role definition of the service is a set of actions; where they hold is said by its assignment. So there
    is one definition for each set of actions that an identity has in some container.
    """
    holders = {
        **{identity.value: grants_of(identity) for identity in Identity},
        **{role.name: role.grants for role in ROLES},
    }
    sets = sorted({_actions(of) for grants in holders.values() for of in grants.values()}, key=_name)
    return _json(
        {
            "metadataAction": READ_METADATA,
            "definitions": [{"name": _name(each), "dataActions": list(each)} for each in sets],
            "identities": _assignments(holders, (identity.value for identity in Identity)),
            "people": _assignments(holders, (role.name for role in ROLES)),
        }
    )


def _container(container: Container) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "id": container.name,
        "partitionKey": {
            "paths": [container.partition_key],
            "kind": "Hash",
            "version": PARTITION_KEY_VERSION,
        },
        "indexingPolicy": container.indexing.policy(),
    }
    if container.default_ttl is not None:
        resource["defaultTtl"] = container.default_ttl
    return {"name": container.name, "autoscaleMaxThroughput": container.autoscale_max, "resource": resource}


def _assignments(holders: dict[str, Grants], names: Iterable[str]) -> list[dict[str, str]]:
    return [
        {"holder": name, "container": place, "definition": _name(_actions(actions))}
        for name in names
        for place, actions in holders[name].items()
    ]


def _actions(actions: Iterable[Action]) -> tuple[Action, ...]:
    given = set(actions)
    return tuple(action for action in Action if action in given)


def _name(actions: Iterable[Action]) -> str:
    return "-".join(action.name.lower() for action in actions)


def _json(content: object) -> str:
    return json.dumps(content, indent=2) + "\n"
