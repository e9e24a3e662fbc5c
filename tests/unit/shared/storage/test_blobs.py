"""Requests to Blob Storage: repeated while that may help, for a bounded time, and told clearly."""

from __future__ import annotations

import asyncio
import hashlib
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)

from shared.cosmos.charges import measured_cost
from shared.cosmos.deadlines import deadline
from shared.cosmos.retries import OPERATION_SECONDS, REQUEST, StorageUnavailableError
from shared.errors import ConflictError, DeadlineError
from shared.storage.blobs import BlobStore, DamagedUploadError
from tests.virtual_time import run

CONTENT = b"content"
STORED = {"content_md5": bytearray(hashlib.md5(CONTENT).digest())}  # noqa: S324


def answer(status: int, code: str = "", **headers: str) -> HttpResponseError:
    kinds = {404: ResourceNotFoundError, 409: ResourceExistsError, 403: ClientAuthenticationError}
    error = kinds.get(status, HttpResponseError)(message="as the service says")
    error.status_code = status
    error.error_code = code  # type: ignore[attr-defined]
    error.response = SimpleNamespace(headers=headers, status_code=status)  # type: ignore[assignment]
    return error


class Service:
    """A container that answers as a test says, and a blob in it."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def get_blob_client(self, _: str) -> Service:
        return self

    async def _answer(self, name: str, **options: Any) -> Any:
        self.asked.append((name, options))
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if given == "never":
            await asyncio.sleep(10_000)
        if isinstance(given, BaseException):
            raise given
        return given

    async def upload_blob(self, _: bytes, **options: Any) -> Any:
        return await self._answer("put", **options)

    async def delete_blob(self) -> Any:
        return await self._answer("delete")

    async def create_container(self) -> Any:
        return await self._answer("create_container")

    async def get_blob_properties(self) -> Any:
        return await self._answer("head")


def store(*answers: Any) -> tuple[BlobStore, Service]:
    service = Service(*answers)
    return BlobStore(service), service  # type: ignore[arg-type]


PASSING = [
    answer(503), answer(429), answer(500), answer(409, "ContainerBeingDeleted"), ServiceRequestError("no"),
    ServiceResponseError("cut"), ConnectionResetError(), "never",
]  # fmt: skip


@pytest.mark.parametrize("fault", PASSING, ids=repr)
def test_a_fault_that_may_pass_is_tried_again(fault: Any) -> None:
    blobs, service = store(fault, fault, STORED)
    assert run(blobs.create("a", CONTENT))
    assert blobs.requests == len(service.asked) == 3


@pytest.mark.parametrize("fault", PASSING, ids=repr)
def test_a_fault_that_stays_ends_in_time_and_says_so(fault: Any) -> None:
    blobs, service = store(fault)

    async def create() -> float:
        began = asyncio.get_running_loop().time()
        with pytest.raises(StorageUnavailableError, match=r"^archive storage put: .*, after \d attempts in"):
            await blobs.create("a", CONTENT)
        return asyncio.get_running_loop().time() - began

    assert run(create()) <= OPERATION_SECONDS
    assert len(service.asked) <= (REQUEST.attempts or 0)


@pytest.mark.parametrize("fault", [answer(403), answer(400, "InvalidInput"), answer(412)], ids=repr)
async def test_a_refusal_is_not_repeated(fault: HttpResponseError) -> None:
    blobs, service = store(fault)
    with pytest.raises(HttpResponseError):
        await blobs.create("a", CONTENT)
    assert len(service.asked) == 1


def test_a_requested_pause_is_kept() -> None:
    blobs, _ = store(answer(503, **{"Retry-After": "9"}), STORED)

    async def create() -> float:
        began = asyncio.get_running_loop().time()
        await blobs.create("a", CONTENT)
        return asyncio.get_running_loop().time() - began

    assert 9 <= run(create()) < 10


def test_no_request_outlives_the_deadline_of_the_work() -> None:
    blobs, _ = store("never")

    async def create() -> None:
        async with deadline(5):
            await blobs.create("a", CONTENT)

    with pytest.raises((DeadlineError, StorageUnavailableError)):
        run(create())


async def test_an_upload_is_conditional_cold_and_carries_its_md5() -> None:
    blobs, service = store(STORED)
    with measured_cost() as cost:
        assert await blobs.create("a", CONTENT, metadata={"sha256": "x"}, cold=True)
    ((_, options),) = service.asked
    assert options["headers"] == {"Content-MD5": "mgNkuembtIDdJeHwKEyFVQ=="}
    assert (options["overwrite"], options["standard_blob_tier"].value) == (False, "Cold")
    assert (cost.requests, cost.request_units) == (1, 0.0)


async def test_another_md5_in_the_answer_is_an_error() -> None:
    blobs, service = store({"content_md5": bytearray(16)})
    with pytest.raises(DamagedUploadError):
        await blobs.create("a", CONTENT)
    assert len(service.asked) == 1


async def test_a_blob_that_exists_is_not_replaced() -> None:
    blobs, _ = store(answer(409, "BlobAlreadyExists"))
    assert not await blobs.create("a", CONTENT)


async def test_the_container_is_made_with_its_first_blob() -> None:
    blobs, service = store(answer(404, "ContainerNotFound"), None, STORED)
    assert await blobs.create("a", CONTENT)
    assert [name for name, _ in service.asked] == ["put", "create_container", "put"]


@pytest.mark.parametrize("fault", [ResourceModifiedError("changed"), answer(404, "BlobNotFound")], ids=repr)
async def test_a_blob_that_changed_is_not_replaced(fault: HttpResponseError) -> None:
    blobs, _ = store(fault)
    with pytest.raises(ConflictError):
        await blobs.replace("a", CONTENT, etag="e")


async def test_what_is_not_there_is_none() -> None:
    blobs, _ = store(answer(404, "BlobNotFound"))
    assert await blobs.properties("a") is None
    assert not await blobs.delete("a")
