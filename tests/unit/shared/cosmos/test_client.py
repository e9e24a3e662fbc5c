"""A client's transport, which asks for a proxy only where there is one, and its identity."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from azure.cosmos.aio import CosmosClient

from local.connection import Connection
from shared.cosmos import client
from shared.cosmos.client import TimedCredential, connect, credential_of, endpoint_of, transport
from shared.cosmos.retries import CREDENTIAL_SECONDS, UnavailableError
from shared.errors import SettingsError
from shared.settings import Settings
from tests.virtual_time import run

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


IDENTITY = "00000000-0000-0000-0000-00000000000a"


class Recorded:
    """An identity that records how it was made, and that its connections were closed."""

    def __init__(self, kind: str, **options: object) -> None:
        self.kind, self.options, self.closed = kind, options, 0

    async def get_token(self, *_: str, **__: object) -> None:
        await asyncio.sleep(1_000)

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
def identities(monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    made: list[Recorded] = []

    def maker(kind: str) -> Callable[..., Recorded]:
        def make(**options: object) -> Recorded:
            made.append(Recorded(kind, **options))
            return made[-1]

        return make

    monkeypatch.setattr(client, "DefaultAzureCredential", maker("environment"))
    monkeypatch.setattr(client, "ManagedIdentityCredential", maker("managed"))
    return made


@pytest.mark.parametrize("client_id", [None, "", IDENTITY])
@pytest.mark.parametrize("credential", [None, "", "managedidentity", "ManagedIdentity"])
async def test_the_identity_is_the_one_that_the_trigger_s_settings_name_and_it_is_closed(
    identities: list[Recorded], monkeypatch: pytest.MonkeyPatch, client_id: str | None, credential: str | None
) -> None:
    monkeypatch.setattr(CosmosClient, "__aenter__", _itself)
    given = {"CosmosDb__accountEndpoint": ENDPOINT}
    given |= {} if client_id is None else {"CosmosDb__clientId": client_id}
    given |= {} if credential is None else {"CosmosDb__credential": credential}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    async with connect(Settings(), user_agent="tests"):
        (made,) = identities
        assert made.closed == 0
    option = "client_id" if credential else "managed_identity_client_id"
    assert made.kind == ("managed" if credential else "environment")
    assert (made.options, made.closed) == ({option: client_id or None}, 1)


async def test_another_kind_of_credential_is_refused() -> None:
    given = Settings(CosmosDb__accountEndpoint=ENDPOINT, CosmosDb__credential="workloadidentity")
    with pytest.raises(SettingsError, match="CosmosDb__credential must be managedidentity"):
        connect(given, user_agent="tests")


def test_an_identity_that_gives_no_token_is_not_waited_for(identities: list[Recorded]) -> None:
    async def work() -> float:
        credential = TimedCredential(credential_of(Settings(CosmosDb__accountEndpoint=ENDPOINT)))
        with pytest.raises(UnavailableError, match="gave no token within 15 s"):
            await credential.get_token("scope")
        await credential.close()
        return asyncio.get_running_loop().time()

    assert run(work()) == CREDENTIAL_SECONDS
    assert [identity.closed for identity in identities] == [1]
