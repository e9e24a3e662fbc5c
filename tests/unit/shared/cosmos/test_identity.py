"""Identities without a key: which one the settings name, when it is closed, and how long it is waited for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable

import pytest
from azure.cosmos.aio import CosmosClient

from local.processes import ROOT
from shared.cosmos.client import connect
from shared.cosmos.identity import TimedCredential, environment_identity
from shared.cosmos.retries import CREDENTIAL_SECONDS, UnavailableError
from shared.errors import SettingsError
from shared.settings import Settings
from tests.virtual_time import run

ENDPOINT = "https://account.documents.azure.com:443/"
IDENTITY = "00000000-0000-0000-0000-00000000000a"


async def _itself(opened: CosmosClient) -> CosmosClient:
    return opened


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

    monkeypatch.setattr("azure.identity.aio.DefaultAzureCredential", maker("environment"))
    monkeypatch.setattr("azure.identity.aio.ManagedIdentityCredential", maker("managed"))
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
    assert made.kind == ("managed" if credential else "environment")
    if credential:
        assert made.options == {"client_id": client_id or None}
    else:  # None would override AZURE_CLIENT_ID
        assert made.options == ({"managed_identity_client_id": client_id} if client_id else {})
    assert made.closed == 1


async def test_another_kind_of_credential_is_refused() -> None:
    given = Settings(CosmosDb__accountEndpoint=ENDPOINT, CosmosDb__credential="workloadidentity")
    with pytest.raises(SettingsError, match="CosmosDb__credential must be managedidentity"):
        connect(given, user_agent="tests")


def test_an_identity_that_gives_no_token_is_not_waited_for(identities: list[Recorded]) -> None:
    async def work() -> float:
        credential = TimedCredential(environment_identity())
        with pytest.raises(UnavailableError, match="gave no token within 15 s"):
            await credential.get_token("scope")
        await credential.close()
        return asyncio.get_running_loop().time()

    assert run(work()) == CREDENTIAL_SECONDS
    assert [made.closed for made in identities] == [1]


@pytest.mark.parametrize("entry", ["shared.fleet.wiring", "local.host.connections", "ops.__main__"])
def test_azure_identity_is_not_imported_before_it_is_used(entry: str) -> None:
    loaded = f"import sys, {entry}; sys.exit('azure.identity' in sys.modules)"
    subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, check=True)
