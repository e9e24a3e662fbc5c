"""Keys are generated once, readable by their owner only, and open what they should."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.host.errors import HostStartError
from local.host.keys import HostKeys, load_or_create_keys

KEYS = HostKeys(master="m" * 20, function="f" * 20, durable="d" * 20)


@pytest.mark.parametrize(
    ("level", "presented", "allowed"),
    [
        ("anonymous", None, True),
        ("function", None, False),
        ("function", "", False),
        ("function", "wrong", False),
        ("function", KEYS.function, True),
        ("function", KEYS.master, True),
        ("admin", KEYS.function, False),
        ("admin", KEYS.master, True),
        ("admin", "ключ", False),
    ],
)
def test_levels(level: str, presented: str | None, allowed: bool) -> None:
    assert KEYS.allows(level, presented) is allowed  # type: ignore[arg-type]


def test_keys_are_kept_and_private(tmp_path: Path) -> None:
    path = tmp_path / "data" / "host-keys.json"
    keys = load_or_create_keys(path)
    assert load_or_create_keys(path) == keys
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(keys.master) >= 50
    assert keys.master != keys.function
    assert keys.master not in repr(keys)


def test_hosts_that_start_together_agree(tmp_path: Path) -> None:
    path = tmp_path / "host-keys.json"
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: load_or_create_keys(path), range(16)))
    assert len(found) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["host-keys.json"]


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        '{"masterKey": ""}',
        '{"masterKey": "a", "functionKeys": 1}',
        '{"masterKey": "a", "functionKeys": {"default": "b"}, "systemKeys": {"durabletask_extension": ""}}',
        '{"masterKey": "a", "functionKeys": {"default": "b"}, "systemKeys": []}',
    ],
)
def test_a_damaged_file_is_reported(tmp_path: Path, content: str) -> None:
    path = tmp_path / "host-keys.json"
    path.write_text(content)
    with pytest.raises(HostStartError, match=r"host-keys\.json must hold"):
        load_or_create_keys(path)


def test_a_file_of_an_earlier_release_gets_the_key_of_the_extension(tmp_path: Path) -> None:
    path = tmp_path / "host-keys.json"
    path.write_text(json.dumps({"masterKey": "m", "functionKeys": {"default": "f"}}))
    keys = load_or_create_keys(path)
    assert (keys.master, keys.function) == ("m", "f")
    assert len(keys.durable) >= 40
    assert load_or_create_keys(path) == keys
    assert not keys.allows("function", keys.durable)


def test_hosts_that_complete_a_file_together_agree(tmp_path: Path) -> None:
    path = tmp_path / "host-keys.json"
    path.write_text(json.dumps({"masterKey": "m", "functionKeys": {"default": "f"}}))
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: load_or_create_keys(path), range(16)))
    assert len(found) == 1
