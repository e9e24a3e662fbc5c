"""Control documents: instances that change one at the same time lose no change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceNotFoundError,
)

from shared.cosmos.control import ControlDocument, Scope
from tests.fakes import FakeContainer
from tests.unit.shared.delivery import no_pauses

pytestmark = pytest.mark.usefixtures(no_pauses.__name__)

KEY = ("builds", "1")


@pytest.fixture
def container() -> FakeContainer:
    return FakeContainer("scope")


def document_in(container: FakeContainer) -> ControlDocument:
    return ControlDocument(container, Scope.BUILDS, "1")  # type: ignore[arg-type]


def content(container: FakeContainer) -> dict[str, Any]:
    """Return what is stored, without system properties."""
    return {name: value for name, value in container.items[KEY].items() if not name.startswith("_")}


def add(name: str) -> Callable[[dict[str, Any] | None], dict[str, Any]]:
    """Return a change that adds a name to a list."""
    return lambda stored: {**(stored or {}), "names": [*(stored or {}).get("names", []), name]}


def once(container: FakeContainer, operation: str, act: Callable[[], None]) -> None:
    """Have something happen before the first operation of a kind."""
    pending = [act]

    def fault(now: str, when: str) -> None:
        if (now, when) == (operation, "before") and pending:
            pending.pop()()

    container.fault = fault


async def test_a_document_that_does_not_exist_is_none(container: FakeContainer) -> None:
    assert await document_in(container).read() is None


async def test_the_stored_document_is_read(container: FakeContainer) -> None:
    await document_in(container).save({"a": 1})
    assert await document_in(container).read() == {**container.items[KEY]}


async def test_a_saved_document_is_stored_under_its_scope_and_id(container: FakeContainer) -> None:
    await document_in(container).save({"a": 1, "id": "other", "scope": "other"})
    assert content(container) == {"a": 1, "id": "1", "scope": "builds"}


async def test_the_last_save_wins(container: FakeContainer) -> None:
    one, other = document_in(container), document_in(container)
    await one.save({"a": 1})
    await other.save({"b": 2})
    assert content(container) == {"b": 2, "id": "1", "scope": "builds"}
    await one.save({"a": 3})
    assert content(container) == {"a": 3, "id": "1", "scope": "builds"}
    assert "read" not in container.requests


async def test_an_update_creates_the_document_and_returns_it(container: FakeContainer) -> None:
    updated = await document_in(container).update(add("a"))
    assert updated == container.items[KEY]
    assert content(container) == {"names": ["a"], "id": "1", "scope": "builds"}
    assert container.requests == ["read", "create"]


async def test_an_update_replaces_the_document_and_returns_it(container: FakeContainer) -> None:
    await document_in(container).save({"names": ["a"]})
    updated = await document_in(container).update(add("b"))
    assert updated == container.items[KEY]
    assert content(container)["names"] == ["a", "b"]
    assert container.requests == ["upsert", "read", "replace"]


@pytest.mark.parametrize("exists", [False, True])
async def test_concurrent_updates_lose_no_change(container: FakeContainer, exists: bool) -> None:
    if exists:
        await document_in(container).save({"names": []})
    await asyncio.gather(*(document_in(container).update(add(name)) for name in "abcd"))
    assert sorted(content(container)["names"]) == ["a", "b", "c", "d"]


async def test_an_update_is_made_again_if_another_instance_replaced_the_document(
    container: FakeContainer,
) -> None:
    await document_in(container).save({"names": []})
    once(container, "replace", lambda: put(container, {"names": ["other"]}))
    await document_in(container).update(add("a"))
    assert content(container)["names"] == ["other", "a"]


async def test_an_update_is_made_again_if_another_instance_created_the_document(
    container: FakeContainer,
) -> None:
    once(container, "create", lambda: put(container, {"names": ["other"]}))
    await document_in(container).update(add("a"))
    assert content(container)["names"] == ["other", "a"]


async def test_an_update_is_made_again_if_another_instance_removed_the_document(
    container: FakeContainer,
) -> None:
    await document_in(container).save({"names": ["gone"]})
    once(container, "replace", container.items.clear)
    await document_in(container).update(add("a"))
    assert content(container)["names"] == ["a"]


def not_found(sub_status: int) -> Callable[[], None]:
    def act() -> None:
        raise CosmosResourceNotFoundError(status_code=404, sub_status=sub_status, message="no")

    return act


@pytest.mark.parametrize(
    ("operation", "exists", "requests"),
    [
        ("read", True, ["read"]),
        ("create", False, ["read", "create"]),
        ("replace", True, ["read", "replace"]),
    ],
)
async def test_an_update_without_a_container_is_not_retried(
    container: FakeContainer, operation: str, exists: bool, requests: list[str]
) -> None:
    if exists:
        put(container, {"names": []})

    def missing(now: str, when: str) -> None:
        if (now, when) == (operation, "before"):
            not_found(1003)()

    container.fault = missing
    with pytest.raises(CosmosResourceNotFoundError):
        await document_in(container).update(add("a"))
    assert container.requests == requests


def put(container: FakeContainer, body: dict[str, Any]) -> None:
    container.items[KEY] = {**body, "id": "1", "scope": "builds", "_etag": '"other"', "_ts": 0}


async def test_an_update_that_loses_six_times_is_an_error(container: FakeContainer) -> None:
    await document_in(container).save({"names": []})

    def always_first(operation: str, when: str) -> None:
        if (operation, when) == ("replace", "before"):
            container.items[KEY]["_etag"] += "."

    container.fault = always_first
    with pytest.raises(CosmosAccessConditionFailedError):
        await document_in(container).update(add("a"))
    assert container.requests.count("replace") == 6


async def test_a_change_to_none_leaves_the_document_and_returns_it(container: FakeContainer) -> None:
    await document_in(container).save({"a": 1})
    before = dict(container.items[KEY])
    assert await document_in(container).update(lambda _: None) == before
    assert container.items[KEY] == before
    assert container.requests == ["upsert", "read"]


async def test_a_change_to_none_where_there_is_no_document_is_an_error(container: FakeContainer) -> None:
    with pytest.raises(ValueError, match="builds/1: there is no document"):
        await document_in(container).update(lambda _: None)
    assert container.items == {}


async def test_an_error_of_the_change_leaves_the_document_and_is_raised(container: FakeContainer) -> None:
    await document_in(container).save({"a": 1})

    def refused(_: dict[str, Any] | None) -> dict[str, Any]:
        raise KeyError("no")

    with pytest.raises(KeyError):
        await document_in(container).update(refused)
    assert content(container)["a"] == 1
    assert container.requests == ["upsert", "read"]


async def test_documents_of_another_scope_or_id_are_apart(container: FakeContainer) -> None:
    await document_in(container).save({"a": 1})
    for scope, document_id in ((Scope.AUDIT, "1"), (Scope.BUILDS, "2")):
        other = ControlDocument(container, scope, document_id)  # type: ignore[arg-type]
        assert await other.read() is None
