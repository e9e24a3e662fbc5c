"""The register of people: tombstones and refusals under every key of the ring."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.ledger.document_version import Version
from shared.ledger.known_accounts import MAX_ACCOUNTS, KnownAccount
from shared.ledger.people_register import NOT_REGISTERED, REFUSAL_TTL, PeopleRegister
from shared.privacy.keyring import KeyRing
from tests.fake_clock import FakeClock
from tests.fakes import FakeContainer
from tests.sample_keys import HASH_KEYS, OLD_HASH_KEY

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def register_on(container: FakeContainer, keys: str = HASH_KEYS) -> PeopleRegister:
    return PeopleRegister(container, KeyRing.parse(keys), clock=FakeClock(lambda: NOW))  # type: ignore[arg-type]


def account(number: int, *, refused: bool = True) -> KnownAccount:
    return KnownAccount(Version(number, number, f'"{number}"'), refused)


async def test_a_tombstone_has_the_hash_the_key_and_a_time_and_nothing_else() -> None:
    container = FakeContainer("scope")
    register = register_on(container)
    await register.record_accounts("ann", {"user_ann": account(1)})
    hashed, at = await register.write_tombstone("ann")
    (stored,) = container.items.values()
    assert {name: value for name, value in stored.items() if not name.startswith("_")} == {
        "id": "person", "scope": f"person|{hashed.name}", "key_id": "new", "digest": hashed.digest,
        "erased_at": "2026-03-01T12:00:00Z",
    }  # fmt: skip
    assert at == stored["erased_at"]
    assert await register.is_erased("ann")
    assert not await register.is_erased("Ann")


async def test_a_person_who_was_erased_under_an_older_key_stays_erased_and_has_one_tombstone() -> None:
    container = FakeContainer("scope")
    first = await register_on(container, OLD_HASH_KEY).write_tombstone("ann")
    register = register_on(container)
    assert await register.is_erased("ann")
    assert await register.write_tombstone("ann") == first
    await register.record_accounts("ann", {"user_ann": account(1)})
    assert await register.is_erased("ann")


async def test_of_a_refusal_under_an_older_key_nothing_is_left_after_the_erasure() -> None:
    container = FakeContainer("scope")
    await register_on(container, OLD_HASH_KEY).record_accounts("ann", {"user_ann": account(1)})
    register = register_on(container)
    assert (await register.read("ann")).accounts == {"user_ann": account(1)}
    await register.write_tombstone("ann")
    assert "user_ann" not in repr(container.items)


async def test_two_erasures_at_once_write_one_tombstone() -> None:
    container = FakeContainer("scope")
    both = await asyncio.gather(*(register_on(container).write_tombstone("ann") for _ in range(2)))
    assert both[0] == both[1]
    assert len(container.items) == 1


async def test_a_tombstone_is_not_replaced_by_what_arrives_late() -> None:
    container = FakeContainer("scope")
    register = register_on(container)
    hashed, _ = await register.write_tombstone("ann")
    before = dict(container.items)
    await register.record_accounts("ann", {"user_ann": account(1)})
    assert await register.restore(hashed, "2020-01-01T00:00:00Z") == "2026-03-01T12:00:00Z"
    assert container.items == before


async def test_a_refusal_expires_after_everything_that_a_person_may_have() -> None:
    container = FakeContainer("scope")
    await register_on(container).record_accounts("ann", {"user_ann": account(1)})
    (stored,) = container.items.values()
    assert stored["ttl"] == REFUSAL_TTL > (3 * 365 + 365) * 86_400


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 5), st.booleans()), min_size=1, max_size=8),
    st.randoms(),
)
def test_the_newest_version_of_each_account_decides_in_whatever_order_they_arrive(
    writes: list[tuple[str, int, bool]], random: Any
) -> None:
    by_version = {(name, number): refused for name, number, refused in writes}
    delivered = list(by_version.items())
    random.shuffle(delivered)
    container = FakeContainer("scope")

    async def deliver() -> Any:
        for (name, number), refused in delivered:
            await register_on(container).record_accounts("ann", {name: account(number, refused=refused)})
        return (await register_on(container).read("ann")).accounts

    newest = {name: max(n for other, n in by_version if other == name) for name, _ in by_version}
    assert asyncio.run(deliver()) == {
        name: account(number, refused=by_version[name, number]) for name, number in newest.items()
    }


async def test_a_version_of_the_same_second_takes_the_place_of_the_one_that_it_replaced() -> None:
    container = FakeContainer("scope")
    register = register_on(container)
    refusal, consent = (
        KnownAccount(Version(7, None, "a"), refused=True), KnownAccount(Version(7, None, "b"), refused=False)
    )  # fmt: skip
    await register.record_accounts("ann", {"u": refusal})
    await register.record_accounts("ann", {"u": consent})
    assert (await register.read("ann")).accounts == {"u": refusal}
    await register.record_accounts("ann", {"u": consent}, {"u": refusal.version})
    assert (await register.read("ann")).accounts == {"u": consent}


async def test_accounts_without_room_are_known_as_one_that_refuses() -> None:
    register = register_on(FakeContainer("scope"))
    await register.record_accounts("ann", {f"{n}": account(1) for n in range(MAX_ACCOUNTS + 5)})
    accounts = (await register.read("ann")).accounts
    assert len(accounts) == MAX_ACCOUNTS + 1
    assert accounts[""].refused


async def test_nobody_else_is_known() -> None:
    assert await register_on(FakeContainer("scope")).read("ann") == NOT_REGISTERED
