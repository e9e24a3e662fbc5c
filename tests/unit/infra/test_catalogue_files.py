"""What the templates read of the catalogue is up to date, and gives everybody exactly their rights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ops.infra import containers_file, roles_file
from shared.containers import CATALOGUE
from shared.rights import ROLES, Identity, grants_of

INFRA = Path(__file__).parents[3] / "infra"

MAX_ROLE_DEFINITIONS, MAX_ROLE_ASSIGNMENTS = 100, 2_000
"""The service's limits of one account."""


def load(name: str) -> Any:
    return json.loads((INFRA / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "text"), [("containers.json", containers_file()), ("roles.json", roles_file())]
)
def test_the_file_is_as_the_catalogue_says(name: str, text: str) -> None:
    assert (INFRA / name).read_text(encoding="utf-8") == text, "run make infra"


def test_every_container_has_its_key_policy_expiry_and_throughput() -> None:
    stored = load("containers.json")
    assert [each["name"] for each in stored] == [each.name for each in CATALOGUE]
    for each, container in zip(stored, CATALOGUE, strict=True):
        assert each["resource"]["id"] == container.name
        assert each["resource"]["partitionKey"]["paths"] == [container.partition_key]
        assert each["resource"]["indexingPolicy"] == container.indexing.policy()
        assert each["resource"].get("defaultTtl") == container.default_ttl
        assert each["autoscaleMaxThroughput"] == container.autoscale_max


def test_assignments_and_definitions_together_are_the_rights() -> None:
    stored = load("roles.json")
    actions = {each["name"]: set(each["dataActions"]) for each in stored["definitions"]}
    given: dict[str, dict[str, set[str]]] = {}
    for each in (*stored["identities"], *stored["people"]):
        places = given.setdefault(each["holder"], {})
        assert each["container"] not in places, "two roles in one container"
        places[each["container"]] = actions[each["definition"]]
    assert given == {
        **{identity.value: grants_of(identity) for identity in Identity},
        **{role.name: role.grants for role in ROLES},
    }


def test_every_definition_is_used_and_the_service_takes_as_many() -> None:
    stored = load("roles.json")
    assignments = (*stored["identities"], *stored["people"])
    assert {each["name"] for each in stored["definitions"]} == {each["definition"] for each in assignments}
    assert len(stored["definitions"]) + 1 <= MAX_ROLE_DEFINITIONS
    assert len(assignments) + len(Identity) + len(ROLES) <= MAX_ROLE_ASSIGNMENTS
