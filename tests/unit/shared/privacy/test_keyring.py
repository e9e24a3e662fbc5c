"""Keyed hashes of user ids: what they are, how the setting names their keys, and that no key is told."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import SettingsError
from shared.fleet.wiring import connected_fleet
from shared.privacy.keyring import KeyedHash, KeyRing
from shared.settings import Settings, load_settings
from tests.sample_keys import HASH_KEYS

NEW, OLD = (entry.partition("=")[2] for entry in HASH_KEYS.split(","))


def independent(encoded: str, user_id: str) -> str:
    return hmac.new(b64decode(encoded), user_id.encode(), hashlib.sha256).hexdigest()


@given(user_id=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_hash_is_hmac_of_the_id_under_the_newest_key_and_candidates_are_under_every_key(
    user_id: str,
) -> None:
    ring = KeyRing.parse(HASH_KEYS)
    assert ring.hash(user_id) == KeyedHash("new", independent(NEW, user_id))
    assert ring.candidates(user_id) == [
        KeyedHash("new", independent(NEW, user_id)),
        KeyedHash("old", independent(OLD, user_id)),
    ]


def test_half_of_a_surrogate_pair_has_a_hash_of_its_own() -> None:
    ring = KeyRing.parse(HASH_KEYS)
    assert ring.hash("\ud800") not in (ring.hash("\udc00"), ring.hash("?"), ring.hash("\ufffd"))


def test_a_name_stands_in_ids_and_addresses_as_it_is() -> None:
    name = KeyRing.parse(HASH_KEYS).hash("somebody/else?#").name
    assert name.startswith("new.")
    assert name.replace(".", "").isalnum()


def test_blanks_around_entries_are_no_part_of_them() -> None:
    ring = KeyRing.parse(HASH_KEYS.replace(",", " ,\n "))
    assert ring.candidates("u") == KeyRing.parse(HASH_KEYS).candidates("u")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "entry 1 does not begin with the id of a key"),
        (f"{HASH_KEYS},", "entry 3 does not begin with the id of a key"),
        (NEW, "entry 1 does not begin with the id of a key"),
        (f"a.b={NEW}", "entry 1 does not begin with the id of a key"),
        (f"a={NEW},a={OLD}", "two keys have the id a"),
        ("a=", "the key of entry 1 is not 32 bytes in base64"),
        (f"a={NEW}x", "the key of entry 1 is not 32 bytes in base64"),
        (f"a=ключ{NEW}", "the key of entry 1 is not 32 bytes in base64"),
        (f"a={b64encode(bytes(31)).decode()}", "the key of entry 1 is not 32 bytes in base64"),
        (f"a={b64encode(bytes(33)).decode()}", "the key of entry 1 is not 32 bytes in base64"),
    ],
)
def test_what_is_no_list_of_keys_is_refused_without_telling_it(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{problem}") as raised:
        KeyRing.parse(text)
    assert NEW not in str(raised.value)
    assert OLD not in str(raised.value)


@pytest.mark.parametrize("text", ["0123456789abcdef0123456789abcdef", "c2VjcmV0c2VjcmV0MQ=="])
def test_a_key_without_an_id_is_not_told_as_if_it_were_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"^the key of entry 1 is not 32 bytes") as raised:
        KeyRing.parse(text)
    assert text.rstrip("=") not in str(raised.value)


def test_the_setting_is_named_and_not_told_if_it_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_HASH_KEYS", f"a={NEW},b={NEW[:-4]}")
    with pytest.raises(
        SettingsError, match=r"^The setting FLEET_HASH_KEYS is not usable: the key of entry 2 is"
    ) as raised:
        load_settings(need_account=False)
    assert NEW[:8] not in str(raised.value)


@pytest.mark.parametrize("value", [None, "", " "])
async def test_a_fleet_without_keys_refuses_to_work(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.setenv("CosmosDb", "AccountEndpoint=https://localhost/;AccountKey=a2V5;")
    if value is None:
        monkeypatch.delenv("FLEET_HASH_KEYS")
    else:
        monkeypatch.setenv("FLEET_HASH_KEYS", value)
    with pytest.raises(SettingsError, match=r"^The setting FLEET_HASH_KEYS must be set"):
        async with connected_fleet(load_settings()):
            pass


def test_keys_are_not_shown() -> None:
    settings = Settings(FLEET_HASH_KEYS=HASH_KEYS)  # type: ignore[arg-type]  # a text, as in the environment
    ring = settings.key_ring()
    for shown in (repr(settings), str(settings), repr(ring), f"{ring}"):
        assert NEW[:8] not in shown
        assert str(b64decode(NEW))[2:10] not in shown
    assert repr(ring) == "KeyRing(new, old)"
