"""Parts of manifests: changes by hand are noticed, erasures are told from losses."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest

from shared.archive.manifests import Part
from shared.cosmos.change_feed import FeedRange
from shared.privacy.keyring import KeyRing

OLD, NEW = (f"{name}={b64encode(bytes([name == 'n']) * 32).decode()}" for name in "on")
RING = KeyRing.parse(OLD)
PART = Part("c/run/00-FF/1", "c", FeedRange("", "FF"), {"a": "1", "b": "2", "ü": "3"})


def test_a_part_is_read_as_it_was_written() -> None:
    assert Part.decode(PART.encode(RING), RING) == PART
    assert Part.decode(PART.encode(RING), KeyRing.parse(f"{NEW},{OLD}")) == PART


def test_removed_entries_are_counted() -> None:
    left = PART.without({"b", "other"})
    assert (dict(left.entries), left.erased) == ({"a": "1", "ü": "3"}, 1)
    stored = json.loads(left.encode(RING))
    assert (stored["documents"], stored["erased"]) == (3, 1)
    assert left.without({"a"}).erased == 2


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("erased", 1),
        ("entries", {"a": "1"}),
        ("documents", 4),
        ("container", "d"),
        ("part", "x"),
        ("more", 1),
    ],
)
def test_a_part_that_was_changed_by_hand_is_not_genuine(path: str, value: object) -> None:
    stored = json.loads(PART.encode(RING)) | {path: value}
    changed = Part.decode(json.dumps(stored).encode(), RING)
    assert changed is not None
    assert not changed.is_genuine
    again = Part.decode(changed.without({"a"}).encode(RING), RING)
    assert again is not None
    assert not again.is_genuine, "removing entries must not hide the change"


def test_a_part_under_a_key_that_is_not_in_the_ring_is_not_genuine() -> None:
    found = Part.decode(PART.encode(KeyRing.parse(NEW)), RING)
    assert found is not None
    assert not found.is_genuine


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff", b'{"hash":1}', b"[" * 100_000])
def test_what_is_no_part_is_none(content: bytes) -> None:
    assert Part.decode(content, RING) is None
