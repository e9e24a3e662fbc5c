"""Which files of the SDK's tests belong to which area, and which tests cannot pass here, with the reason."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

AREAS: dict[str, tuple[str, ...]] = {
    "items": (
        "test_crud",
        "test_crud_response_payload_on_write_disabled",
        "test_encoding",
        "test_none_options",
    ),
    "databases and containers": (
        "test_crud_database",
        "test_crud_container",
        "test_container_properties_cache",
        "test_auto_scale",
    ),
    "batch": ("test_transactional_batch",),
    "change feed": ("test_change_feed", "test_changefeed_partition_key_variation"),
    "feed ranges": (
        "test_feed_range",
        "test_feed_range_continuation_token",
        "test_query_feed_range",
        "test_query_feed_range_multipartition",
    ),
    "partition keys": ("test_partition_key", "test_crud_subpartition"),
    "expiry": ("test_ttl",),
    "read_items": ("test_read_items",),
    "queries": (
        "test_query",
        "test_query_cross_partition",
        "test_query_execution_context",
        "test_query_response_headers",
        "test_aggregate",
    ),
    "ordering": ("test_orderby", "test_multi_orderby"),
    "sessions": ("test_session", "test_latest_session_token"),
    "headers": ("test_headers",),
}
"""Names of files; each stands for the asynchronous one beside it too, where there is one."""

REASONS = Path(__file__).with_name("cannot_pass.toml")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why some tests cannot pass here."""

    why: str
    tests: tuple[str, ...]
    """Patterns over ``file::Class::test``."""

    def covers(self, test: str) -> bool:
        """Say whether a test is one of them."""
        return any(fnmatchcase(test, pattern) for pattern in self.tests)


def reasons() -> list[Reason]:
    """Return the reasons that are written down."""
    document = tomllib.loads(REASONS.read_text(encoding="utf-8"))
    return [Reason(entry["why"], tuple(entry["tests"])) for entry in document["reason"]]


def files(folder: Path, area: str) -> list[Path]:
    """Return the files of an area that the folder of tests has."""
    names = [f"{name}{suffix}.py" for name in AREAS[area] for suffix in ("", "_async")]
    return [folder / name for name in names if (folder / name).exists()]
