"""HTTPS: the SDK works with the server's certificate and refuses the server without it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import AioHttpTransport
from azure.cosmos import CosmosClient as SyncClient
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient
from azure.cosmos.documents import SSLConfiguration

from tests.cosmos_server import ServerProcess, running_server


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(tmp_path_factory.mktemp("tls"), options=["--tls"]) as server:
        yield server


def _localhost(server: ServerProcess) -> str:
    return f"https://localhost:{server.port}/"


def test_the_ready_line_names_endpoint_and_certificate(secure: ServerProcess) -> None:
    assert secure.endpoint == f"https://127.0.0.1:{secure.port}/"
    assert secure.connection_string.startswith(f"AccountEndpoint={secure.endpoint};")
    assert secure.certificate is not None
    assert Path(secure.certificate).read_text().startswith("-----BEGIN CERTIFICATE-----")


class CheckingTransport(AioHttpTransport):
    """Checks the certificate, which the SDK does not for this machine; ``trusted`` besides the system's."""

    def __init__(self, trusted: str | None) -> None:
        super().__init__(use_env_settings=False)
        self._context = ssl.create_default_context(cafile=trusted)

    async def send(self, request: Any, **config: Any) -> Any:
        return await super().send(request, **{**config, "connection_verify": True, "ssl": self._context})


async def _use(client: CosmosClient) -> None:
    database = await client.create_database_if_not_exists("async")
    container = await database.create_container_if_not_exists("c", PartitionKey("/pk"))
    await container.upsert_item({"id": "a", "pk": "p"})
    assert (await container.read_item("a", "p"))["id"] == "a"
    assert [item["id"] async for item in container.query_items("SELECT * FROM c")] == ["a"]


async def test_the_async_client_as_it_is(secure: ServerProcess) -> None:
    for endpoint in (secure.endpoint, _localhost(secure)):
        async with CosmosClient(endpoint, secure.key, connection_verify=secure.certificate) as client:
            await _use(client)


async def test_the_async_client_checking_the_certificate(secure: ServerProcess) -> None:
    for endpoint in (secure.endpoint, _localhost(secure)):
        checking = CheckingTransport(secure.certificate)
        async with CosmosClient(endpoint, secure.key, transport=checking) as client:
            await _use(client)


async def test_an_async_client_that_does_not_know_the_certificate_refuses(secure: ServerProcess) -> None:
    client = CosmosClient(secure.endpoint, secure.key, transport=CheckingTransport(None), retry_total=0)
    try:
        with pytest.raises(AzureError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.__aenter__()
    finally:
        await client.close()


def _checking(verify: str | bool) -> dict[str, Any]:
    """What makes the synchronous client check the certificate."""
    return {"ssl_config": SSLConfiguration(), "connection_verify": verify}


def test_the_sync_client_checking_the_certificate(secure: ServerProcess) -> None:
    assert secure.certificate is not None
    with SyncClient(_localhost(secure), secure.key, **_checking(secure.certificate)) as client:
        account = client.get_database_account()
        assert [*account.WritableLocations, *account.ReadableLocations] == [
            {"name": "Local", "databaseAccountEndpoint": secure.endpoint}
        ] * 2
        database = client.create_database_if_not_exists("sync")
        container = database.create_container_if_not_exists("c", PartitionKey("/pk"))
        container.upsert_item({"id": "a", "pk": "p"})
        assert container.read_item("a", "p")["id"] == "a"


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_the_sync_client_as_it_is(secure: ServerProcess) -> None:
    with SyncClient(_localhost(secure), secure.key) as client:
        assert client.get_database_account().WritableLocations


def test_a_sync_client_that_does_not_know_the_certificate_refuses(secure: ServerProcess) -> None:
    with pytest.raises(AzureError, match="CERTIFICATE_VERIFY_FAILED"):
        SyncClient(secure.endpoint, secure.key, **_checking(True), retry_total=0)


def test_the_certificate_survives_a_restart_and_the_admin_surface_speaks_https(tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        with running_server(tmp_path, options=["--tls"]) as server:
            assert server.local("GET", "health") == {"status": "serving"}
            assert server.certificate is not None
            found.append(Path(server.certificate).read_bytes())
    assert found[0] == found[1]
