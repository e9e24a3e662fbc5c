"""Every function has rights, and rights are of functions, containers and actions that exist."""

from __future__ import annotations

import pytest

from shared.containers import CATALOGUE, FLEET
from shared.rights import (
    BEGIN,
    FAMILIES,
    FUNCTIONS,
    LEASES,
    READ_METADATA,
    ROLES,
    Action,
    Identity,
    Role,
    grants_of,
    rights_of,
)
from tests.fleet_in_process import FUNCTIONS as APP
from tests.fleet_in_process import MODULES

NAMES = {container.name for container in CATALOGUE}
SOURCES = {"users", "user_sessions", "user_interactions", "abuse_incidents", "personalities"}
WRITES = {Action.CREATE, Action.REPLACE, Action.UPSERT, Action.DELETE}

DOCUMENTED = {
    "items/create", "items/read", "items/replace", "items/upsert", "items/delete", "executeQuery",
    "readChangeFeed",
}  # fmt: skip
"""The service's reference of data actions, without those of conflicts and stored procedures."""


@pytest.mark.parametrize("name", sorted(APP))
def test_every_function_has_rights(name: str) -> None:
    module = MODULES[name]
    assert rights_of(name, module) is not None, f"say in shared/rights.py what {name} of {module} may do"


def test_rights_are_of_functions_that_exist() -> None:
    assert set(FUNCTIONS) <= set(APP)


@pytest.mark.parametrize("name", sorted(APP))
def test_a_trigger_may_read_its_feed_and_keep_its_leases(name: str) -> None:
    trigger = APP[name].get_trigger().get_dict_repr()
    feed = trigger["containerName"] if trigger["type"] == "cosmosDBTrigger" else ""
    rights = rights_of(name, MODULES[name])
    assert rights is not None
    assert rights.feed == feed
    assert (LEASES in rights.works()) == bool(feed)
    if feed:
        assert trigger["leaseContainerName"] in LEASES.grants


def test_actions_are_those_that_the_service_documents_and_none_is_a_wildcard() -> None:
    prefix = "Microsoft.DocumentDB/databaseAccounts"
    assert {action.removeprefix(f"{prefix}/sqlDatabases/containers/") for action in Action} == DOCUMENTED
    assert f"{prefix}/readMetadata" == READ_METADATA
    assert not any("*" in action for action in Action)


def test_identities_and_roles_name_containers_of_the_catalogue() -> None:
    named = {place for identity in Identity for place in grants_of(identity)}
    named |= {place for role in ROLES for place in role.grants}
    assert named == NAMES


def test_the_fleet_writes_nothing_that_others_write_but_the_usage_of_passages() -> None:
    written = {place for place, actions in grants_of(Identity.FLEET).items() if actions & WRITES}
    assert written & SOURCES == set()
    own = {container.name for container in CATALOGUE if container.written_by == FLEET}
    assert written - own == {"change_feed_leases", "personality_vectors"}
    assert grants_of(Identity.FLEET)["personality_vectors"] & WRITES == {Action.REPLACE}


def test_only_the_lifecycle_writes_to_sources() -> None:
    written = {place for place, actions in grants_of(Identity.LIFECYCLE).items() if actions & WRITES}
    assert written >= SOURCES
    assert {rights.identity for rights in FAMILIES.values()} == {Identity.LIFECYCLE}
    assert all(BEGIN in rights.work for rights in FAMILIES.values())


def test_the_roles_are_those_of_the_specification() -> None:
    admin, *others = ROLES
    assert (admin.name, admin.grants) == ("admin", dict.fromkeys(NAMES, frozenset(Action)))
    assert {role.name: _words(role) for role in others} == {
        "analytics_reader": {
            "user_analytics": "query read",
            "content_analytics": "query read",
            "daily_metrics": "query read",
        },
        "application_service": {
            "users": "create query read replace",
            "user_sessions": "create query read replace",
            "user_interactions": "create query read replace",
            "personality_vectors": "create query read replace",
        },
        "content_moderator": {
            "abuse_incidents": "query read replace",
            "user_interactions": "query read replace",
        },
    }


def _words(role: Role) -> dict[str, str]:
    return {
        place: " ".join(sorted(action.name.lower() for action in actions))
        for place, actions in role.grants.items()
    }
