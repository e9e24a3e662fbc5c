"""Every source container has a function that folds its changes."""

from __future__ import annotations

import azure.functions as func
import pytest

from functions import sources
from tests.unit.functions.registered import RecordedFleet, functions_of, invoke, trigger_of

CONTAINERS = {
    "fold_user_interactions": "user_interactions",
    "fold_user_sessions": "user_sessions",
    "fold_abuse_incidents": "abuse_incidents",
    "fold_users": "users",
}


def test_each_source_is_followed_by_one_function_with_leases_apart_from_other_triggers() -> None:
    triggers = {name: trigger_of(function) for name, function in functions_of(sources.blueprint).items()}
    assert {name: trigger["containerName"] for name, trigger in triggers.items()} == CONTAINERS
    for trigger in triggers.values():
        assert trigger["leaseContainerPrefix"] == "fold-%FLEET_GENERATION%-"
        assert trigger["feedPollDelay"] == 1000
    assert {name: trigger["maxItemsPerInvocation"] for name, trigger in triggers.items()} == {
        "fold_user_interactions": 1000,
        "fold_user_sessions": 1000,
        "fold_abuse_incidents": 1000,
        "fold_users": sources.ACCOUNTS_PAGE,
    }


@pytest.mark.parametrize("name", CONTAINERS)
async def test_a_batch_is_ingested_as_dictionaries(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = RecordedFleet()
    monkeypatch.setattr(sources, "fleet", fleet.connect)
    documents = func.DocumentList([func.Document({"id": "a", "_lsn": 1}), func.Document({"id": "b"})])
    await invoke(functions_of(sources.blueprint)[name], documents)
    assert fleet.calls == [("ingest.ingest_batch", CONTAINERS[name], [{"id": "a", "_lsn": 1}, {"id": "b"}])]
    assert all(type(document) is dict for document in fleet.calls[0][2])
