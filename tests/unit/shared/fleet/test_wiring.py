"""The composition root: which generation a fleet works on, and that connections and identities are closed."""

from __future__ import annotations

from typing import Any

import pytest

from shared.cosmos.client import Connection
from shared.errors import SettingsError
from shared.fleet import wiring
from shared.fleet.wiring import connected_fleet
from shared.ledger import state_mark
from shared.settings import Settings
from tests.unit.shared.world import SHARDS, World


class Client:
    """A client of a database in memory.

    Parameters
    ----------
    cannot_connect
        Entering it fails.
    """

    def __init__(self, world: World, user_agent: str, *, cannot_connect: bool = False) -> None:
        self.world = world
        self.user_agent = user_agent
        self.cannot_connect = cannot_connect
        self.closed = 0

    async def __aenter__(self) -> Client:
        if self.cannot_connect:
            raise ConnectionError(self.user_agent)
        return self

    async def close(self) -> None:
        self.closed += 1

    def get_database_client(self, name: str) -> World:
        assert name == self.world.settings.cosmos_database
        return self.world


class Credential:
    """An identity that counts how often it is closed."""

    def __init__(self) -> None:
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1


class Account:
    """Returns clients in place of ``connect``."""

    def __init__(self) -> None:
        self.world = World()
        self.clients: list[Client] = []
        self.credentials: list[Credential] = []
        self.cannot_connect = ""
        """User agent of the client that cannot connect."""

    def connect(self, _: Settings, *, user_agent: str) -> Any:
        client = Client(self.world, user_agent, cannot_connect=user_agent == self.cannot_connect)
        credential = Credential()
        self.clients.append(client)
        self.credentials.append(credential)
        return Connection(client, credential)  # type: ignore[arg-type]

    @property
    def generations(self) -> dict[str, Any]:
        """The recorded generations."""
        items = self.world.containers["fleet_state"].items
        record = items.get(("generations", "generations"), {"generations": {}})
        generations: dict[str, Any] = record["generations"]
        return generations


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    account = Account()
    monkeypatch.setattr(wiring, "connect", account.connect)
    return account


async def test_a_fleet_records_its_generation_if_it_is_new(account: Account) -> None:
    async with connected_fleet(account.world.settings):
        assert account.generations["1"]["shards"] == SHARDS


async def test_an_operator_s_command_records_no_generation(account: Account) -> None:
    async with connected_fleet(account.world.settings, start_generation=False) as connected:
        assert connected.settings is account.world.settings
    assert account.generations == {}
    assert account.world.containers["fleet_state"].requests == ["read", "read"]
    assert account.world.containers["view_state"].items == {}


@pytest.mark.parametrize("start_generation", [True, False])
async def test_settings_that_contradict_the_recorded_generation_are_refused(
    account: Account, start_generation: bool
) -> None:
    async with connected_fleet(account.world.settings):
        pass
    other = Settings(FLEET_SHARDS=SHARDS + 1)
    with pytest.raises(SettingsError, match=f"was begun with {SHARDS} shards"):
        await connected_fleet(other, start_generation=start_generation).__aenter__()
    assert account.generations["1"]["shards"] == SHARDS
    assert [client.closed for client in account.clients] == [1, 1, 1, 1]


@pytest.mark.parametrize("start_generation", [True, False])
async def test_a_state_that_was_deleted_is_refused(
    account: Account, start_generation: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_mark, "PAUSE_SECONDS", 0.0)
    async with connected_fleet(account.world.settings) as running:
        await running.check_ready()
        account.world.containers["view_state"].items.clear()
        with pytest.raises(SettingsError, match="Set FLEET_GENERATION to 2"):
            await running.check_ready()
    with pytest.raises(SettingsError, match="Set FLEET_GENERATION to 2"):
        await connected_fleet(account.world.settings, start_generation=start_generation).__aenter__()


async def test_both_clients_are_closed_at_the_end_and_not_before(account: Account) -> None:
    async with connected_fleet(account.world.settings, user_agent="ops"):
        assert [client.closed for client in account.clients] == [0, 0]
    assert [client.user_agent for client in account.clients] == ["ops", "ops-audit"]
    assert [each.closed for each in (*account.clients, *account.credentials)] == [1, 1, 1, 1]


async def test_both_clients_are_closed_after_an_error(account: Account) -> None:
    with pytest.raises(KeyError, match="of the caller"):
        async with connected_fleet(account.world.settings):
            raise KeyError("of the caller")
    assert [client.closed for client in account.clients] == [1, 1]


@pytest.mark.parametrize("which", ["ops", "ops-audit"])
async def test_what_was_opened_is_closed_if_one_client_cannot_connect(account: Account, which: str) -> None:
    account.cannot_connect = which
    with pytest.raises(ConnectionError, match=f"^{which}$"):
        await connected_fleet(account.world.settings, user_agent="ops").__aenter__()
    assert {client.closed for client in account.clients} == {1}
    assert account.generations == {}
