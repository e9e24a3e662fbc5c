"""A client's transport, which asks for a proxy only where there is one."""

from __future__ import annotations

import asyncio

import pytest
from azure.cosmos.aio import CosmosClient

from local.connection import Connection
from shared.cosmos.client import connect, endpoint_of, transport
from shared.errors import SettingsError
from shared.settings import Settings

ENDPOINT = "https://account.documents.azure.com:443/"
SECRET = f"AccountEndpoint={ENDPOINT};AccountKey=c2VjcmV0;"
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def _trusts_environment(endpoint: str) -> bool:
    async with transport(endpoint) as opened:
        assert opened.session is not None
        return opened.session.trust_env


@pytest.mark.parametrize(
    ("variables", "endpoint", "asks"),
    [
        ({}, ENDPOINT, False),
        ({"HTTPS_PROXY": "http://proxy:3128"}, ENDPOINT, True),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": ".azure.com"}, ENDPOINT, False),
        ({"HTTP_PROXY": "http://proxy:3128"}, ENDPOINT, False),
        ({"HTTP_PROXY": "http://proxy:3128"}, "http://127.0.0.1:8081/", True),
        ({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "127.0.0.1"}, "http://127.0.0.1:8081/", False),
    ],
)
async def test_the_environment_is_asked_only_where_it_names_a_proxy(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], endpoint: str, asks: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert await _trusts_environment(endpoint) is asks


@pytest.mark.parametrize(
    "text",
    [
        "AccountEndpoint=https://a.documents.azure.com/;AccountKey=c2VjcmV0a;",
        "AccountEndpoint=https://a.documents.azure.com/;AccountKey=;",
        "AccountEndpoint=https://a.documents.azure.com/;",
        "AccountEndpoint=a.documents.azure.com;AccountKey=c2VjcmV0;",
        "AccountEndpoint=https://a.documents.azure.com:99999/;AccountKey=c2VjcmV0;",
    ],
)
async def test_a_connection_string_that_no_request_can_use_is_refused_at_once(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^The setting CosmosDb is not a connection string") as raised:
        connect(Settings(CosmosDb=text), user_agent="test")
    assert "c2VjcmV0" not in str(raised.value)


async def test_an_endpoint_without_scheme_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^The setting CosmosDb__accountEndpoint is not an address"):
        connect(Settings(CosmosDb__accountEndpoint="a.documents.azure.com"), user_agent="test")


def test_the_endpoint_of_a_connection_string() -> None:
    assert endpoint_of(SECRET) == ENDPOINT
    for text in ("", "AccountKey=x;", "AccountEndpoint=;AccountKey=x;"):
        with pytest.raises(ValueError, match="no AccountEndpoint"):
            endpoint_of(text)


@pytest.mark.parametrize("maker", ["fleet", "commands"])
async def test_a_client_uses_no_thread_and_closes_its_connections(
    monkeypatch: pytest.MonkeyPatch, maker: str
) -> None:
    """A proxy is looked up in a thread: none may be started by a request."""
    threads: list[object] = []
    monkeypatch.setattr(asyncio, "to_thread", lambda *work: threads.append(work))
    monkeypatch.setattr(
        "asyncio.base_events.BaseEventLoop.run_in_executor", lambda *work: threads.append(work)
    )
    secret = "AccountEndpoint=http://127.0.0.1:9/;AccountKey=c2VjcmV0;"

    async def request(opened: CosmosClient) -> None:
        pipeline = opened.client_connection.pipeline_client
        used = pipeline._pipeline._transport
        used = getattr(used, "inner", used)
        await used.open()
        session = used.session
        with pytest.raises(OSError, match="Cannot connect"):
            await session.get("http://127.0.0.1:9/")
        await opened.close()
        assert session.closed

    monkeypatch.setattr(CosmosClient, "__aenter__", _itself)
    if maker == "fleet":
        async with connect(Settings(CosmosDb=secret), user_agent="tests") as opened:
            await request(opened)
    else:
        connection = Connection({"CosmosDb": secret}, "a test")
        async with connection.client("tests") as opened:
            await request(opened)
    assert not threads


async def _itself(opened: CosmosClient) -> CosmosClient:
    return opened
