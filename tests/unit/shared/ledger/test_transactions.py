"""Transactional batches: all guarded writes succeed, or none does."""

from __future__ import annotations

from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosBatchOperationError

from shared.errors import ConflictError
from shared.ledger.transactions import CONFLICT_STATUSES, execute_guarded
from tests.fakes import FakeContainer


def document(name: str, number: int = 0) -> dict[str, Any]:
    return {"id": name, "shard": "1:0000", "number": number}


async def test_documents_are_created_and_replaced_together() -> None:
    container: Any = FakeContainer()
    await execute_guarded(container, "1:0000", [(document("a"), None)])
    etag = container.items["1:0000", "a"]["_etag"]
    await execute_guarded(container, "1:0000", [(document("a", 1), etag), (document("b"), None)])
    stored = [container.items["1:0000", name] for name in ("a", "b")]
    assert [item["number"] for item in stored] == [1, 0]


@pytest.mark.parametrize(("name", "etag"), [("a", None), ("a", "old"), ("gone", "old")])
async def test_one_failed_guard_fails_all(name: str, etag: str | None) -> None:
    container: Any = FakeContainer()
    await execute_guarded(container, "1:0000", [(document("a"), None)])
    with pytest.raises(ConflictError, match="shard 1:0000: status 4"):
        await execute_guarded(container, "1:0000", [(document("b"), None), (document(name), etag)])
    assert container.items.keys() == {("1:0000", "a")}


@pytest.mark.parametrize("status", [413, 429, *sorted(CONFLICT_STATUSES)])
async def test_only_failed_guards_are_conflicts(status: int) -> None:
    def refuse(*_: str) -> None:
        raise CosmosBatchOperationError(
            error_index=0, headers={}, status_code=status, message="refused", operation_responses=[]
        )

    container: Any = FakeContainer(fault=refuse)
    expected = ConflictError if status in CONFLICT_STATUSES else CosmosBatchOperationError
    with pytest.raises(expected):
        await execute_guarded(container, "1:0000", [(document("a"), None)])
