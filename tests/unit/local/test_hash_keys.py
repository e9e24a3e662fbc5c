"""The key of a stack is generated once, and readable by its owner only."""

from __future__ import annotations

import stat
from pathlib import Path

from local.hash_keys import load_or_create_hash_keys, new_hash_keys
from shared.privacy.keyring import KeyRing


def test_the_key_of_a_stack_stays_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "hash_keys"
    (tmp_path / "hash_keys.new").write_text("what a start that was killed left")
    setting = load_or_create_hash_keys(path)
    assert load_or_create_hash_keys(path) == setting
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KeyRing.parse(setting).key_ids == ["local"]


def test_keys_of_two_stacks_differ() -> None:
    first, second = (KeyRing.parse(new_hash_keys()) for _ in range(2))
    assert first.hash("u") != second.hash("u")
