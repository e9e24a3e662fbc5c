"""A person has one shard of a generation, the same on every instance and in every release."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from shared.ledger.shards import all_shards, shard_of


@pytest.mark.parametrize(
    ("user_id", "digest"),
    [
        # Published values of XXH3 with 64 bits and seed 0.
        ("", 0x2D06800538D394C2),
        ("a", 0xE6C632B61E964E1F),
        ("abc", 0x78AF5F94892F3950),
    ],
)
@pytest.mark.parametrize("shards", [1, 8, 100, 1000])
def test_the_shard_of_a_person_is_the_hash_of_the_user_id_modulo_the_shards(
    user_id: str, digest: int, shards: int
) -> None:
    assert shard_of(user_id, shards=shards, generation=3) == f"3:{digest % shards:04d}"


def test_a_user_id_is_hashed_as_utf_8() -> None:
    digest = xxh3_64_intdigest(b"\xc3\xa9")
    assert shard_of("é", shards=1000, generation=1) == f"1:{digest % 1000:04d}"


@given(st.text(), st.integers(1, 64), st.integers(1, 9))
def test_the_shard_of_a_person_is_one_of_all_shards(user_id: str, shards: int, generation: int) -> None:
    assert shard_of(user_id, shards=shards, generation=generation) in all_shards(
        shards=shards, generation=generation
    )


def test_a_generation_has_as_many_shards_as_asked_for_in_order() -> None:
    assert all_shards(shards=3, generation=2) == ["2:0000", "2:0001", "2:0002"]
    assert len(set(all_shards(shards=1200, generation=2))) == 1200


def test_people_spread_evenly_over_the_shards() -> None:
    people = Counter(shard_of(f"user-{number}", shards=8, generation=1) for number in range(8_000))
    assert len(people) == 8
    assert all(850 < count < 1150 for count in people.values())  # five standard deviations
