"""The address of a document is that of the service, whatever its owner is."""

from __future__ import annotations

from typing import Any

import pytest

from shared.address import Partition, SourceAddress
from shared.ingest.sources import address_of


@pytest.mark.parametrize(
    ("fields", "partition"),
    [
        ({}, Partition.ABSENT),
        ({"partition_key": "7"}, Partition.ABSENT),
        ({"user_id": None, "partition_key": "7"}, None),
        ({"user_id": 7}, 7),
        ({"user_id": True}, True),
        ({"user_id": ""}, ""),
        ({"user_id": "2025-08-05T10:00:00.120Z"}, "2025-08-05T10:00:00.120Z"),
        ({"user_id": {"name": "7"}}, Partition.ABSENT),
        ({"user_id": ["7"]}, Partition.ABSENT),
    ],
)
def test_the_partition_is_user_id_as_it_was_delivered(fields: dict[str, Any], partition: object) -> None:
    assert SourceAddress.of({"id": "user_7", **fields}) == SourceAddress("user_7", partition)  # type: ignore[arg-type]


@pytest.mark.parametrize("document", [{}, {"id": ""}, {"id": 7}, {"id": None, "user_id": "7"}])
def test_a_document_without_an_id_has_no_address(document: dict[str, Any]) -> None:
    assert SourceAddress.of(document) is None


@pytest.mark.parametrize(
    ("document", "needs_rid"),
    [
        ({"id": "user_7", "user_id": "7"}, False),
        ({"id": "2025-08-05T10:00:00.12Z", "user_id": "7"}, True),
        ({"id": "user_7", "user_id": "2025-08-05T10:00:00Z"}, True),
        ({"id": "/Date(0)/"}, True),
        ({"id": "2025-08-05", "user_id": 7}, False),
    ],
)
def test_the_id_of_the_service_is_kept_where_the_trigger_may_have_rewritten_the_address(
    document: dict[str, Any], needs_rid: bool
) -> None:
    address = address_of({**document, "_rid": "AAAA"})
    assert address is not None
    assert address.rid == ("AAAA" if needs_rid else None)
