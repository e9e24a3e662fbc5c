"""The catalogue of containers. Describes each one once, for the stack, the infrastructure and the docs.

Source: the specification, sections "Container Specifications", "Throughput Configuration", "TTL
Configuration" and "Indexing Policy Best Practices". Values that the service refuses are corrected;
docs/specification-notes.md lists the corrections. The class of each field of the sources, and the places
where its values may go, are in :mod:`shared.privacy`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

SortDirection = Literal["ascending", "descending"]

VIEW_STATE = "view_state"
"""The container of the fleet's state: ledger pages, partials, and contents that are built from pages."""

FLEET_STATE = "fleet_state"
"""The container of control documents."""

POISON_MESSAGES = "poison_messages"
"""The container of poison rows."""

DAY = 86_400
YEAR = 365 * DAY

ARCHIVE_ALERT_DAYS = 14
"""Days before an item's expiry from which it is an alert that it is not archived. An archive that fails is
noticed, and corrected, in less."""

NO_EXPIRY_UNLESS_ITEM_SAYS_SO = -1
"""``defaultTtl`` of a container whose items never expire, except items with their own ``ttl``."""


@dataclass(frozen=True, slots=True)
class Indexing:
    """The index of a container: only the included paths, or all paths except the excluded ones.

    The service requires ``/*`` in exactly one of the two lists.
    """

    included: tuple[str, ...] = ("/*",)
    excluded: tuple[str, ...] = ()
    composite: tuple[tuple[tuple[str, SortDirection], ...], ...] = ()

    def policy(self) -> dict[str, Any]:
        """Return the policy document that the service accepts."""
        excluded = self.excluded if "/*" in self.included else ("/*", *self.excluded)
        policy: dict[str, Any] = {
            "indexingMode": "consistent",
            "automatic": True,
            "includedPaths": [{"path": path} for path in self.included],
            "excludedPaths": [{"path": path} for path in (*excluded, '/"_etag"/?')],
        }
        if self.composite:
            policy["compositeIndexes"] = [
                [{"path": path, "order": order} for path, order in index] for index in self.composite
            ]
        return policy


@dataclass(frozen=True, slots=True)
class Container:
    """One container: its partition key, its policies and its writer."""

    name: str
    partition_key: str
    purpose: str
    written_by: str
    indexing: Indexing
    autoscale_max: int = 1_000
    """Autoscale maximum in RU/s, a multiple of 1,000. The service scales down to a tenth of it."""
    default_ttl: int | None = None
    """Seconds between an item's last write and its expiry. None disables expiry."""
    archive_after: int | None = None
    """Days between an item's last write and its copy to the archive. None: it is not archived."""

    def __post_init__(self) -> None:
        if self.autoscale_max < 1_000 or self.autoscale_max % 1_000:
            raise ValueError(f"{self.name}: autoscale_max {self.autoscale_max} is not a multiple of 1,000")
        if self.default_ttl is not None and self.default_ttl != -1 and self.default_ttl <= 0:
            raise ValueError(f"{self.name}: default_ttl {self.default_ttl} is neither -1 nor positive")
        if (
            self.archive_after is not None
            and (self.default_ttl or 0) < (self.archive_after + ARCHIVE_ALERT_DAYS) * DAY
        ):
            raise ValueError(f"{self.name}: items expire before they can be archived in time")


WEB_APP = "web application"
FLEET = "fleet"
CONTENT_TEAM = "content pipeline"
HOST = "Functions host"

CATALOGUE: tuple[Container, ...] = (
    Container(
        name="users",
        partition_key="/user_id",
        purpose="User accounts, consent and preferences",
        written_by=WEB_APP,
        autoscale_max=4_000,
        indexing=Indexing(
            included=(
                "/user_id/?",
                "/partition_key/?",
                "/email/?",
                "/auth_id/?",
                "/account_status/?",
                "/subscription_tier/?",
                "/created_at/?",
                "/last_login/?",
            ),
            excluded=("/privacy_settings/*", "/content_preferences/*"),
            composite=(
                (("/account_status", "ascending"), ("/subscription_tier", "ascending")),
                (("/created_at", "descending"), ("/account_status", "ascending")),
            ),
        ),
    ),
    Container(
        name="user_sessions",
        partition_key="/user_id",
        purpose="Sessions and user journeys",
        written_by=WEB_APP,
        autoscale_max=2_000,
        default_ttl=90 * DAY,
        archive_after=60,
        indexing=Indexing(
            included=("/user_id/?", "/session_id/?", "/start_time/?", "/status/?"),
            composite=((("/user_id", "ascending"), ("/start_time", "descending")),),
        ),
    ),
    Container(
        name="user_interactions",
        partition_key="/user_id",
        purpose="Questions, answers, citations, ratings and token counts",
        written_by=WEB_APP,
        autoscale_max=4_000,
        default_ttl=YEAR,
        archive_after=180,
        indexing=Indexing(
            included=(
                "/user_id/?",
                "/timestamp/?",
                "/response_metadata/personality_used/?",
                "/user_rating/?",
                "/session_id/?",
            ),
            excluded=("/embeddings/*", "/response_text/?", "/foundational_texts_used/*"),
            composite=((("/user_id", "ascending"), ("/timestamp", "descending")),),
        ),
    ),
    Container(
        name="personalities",
        partition_key="/personality_id",
        purpose="Persona configurations",
        written_by=CONTENT_TEAM,
        indexing=Indexing(included=("/personality_id/?", "/is_active/?", "/domain/?")),
    ),
    Container(
        name="personality_vectors",
        partition_key="/partition_key",
        purpose="Foundational texts, embeddings and their usage",
        written_by=CONTENT_TEAM,
        autoscale_max=2_000,
        indexing=Indexing(
            included=("/personality_id/?", "/source/?", "/content_type/?", "/topic_tags/*"),
            excluded=("/embeddings/*", "/sanskrit_text/?", "/detailed_explanation/?"),
        ),
    ),
    Container(
        name="user_analytics",
        partition_key="/user_id",
        purpose="Per person and period: usage, content, behaviour",
        written_by=FLEET,
        default_ttl=90 * DAY,
        archive_after=60,
        indexing=Indexing(
            included=("/user_id/?", "/analysis_period/?", "/period_start/?"),
            composite=((("/analysis_period", "ascending"), ("/period_start", "descending")),),
        ),
    ),
    Container(
        name="content_analytics",
        partition_key="/source",
        purpose="Per foundational text and period: usage, quality, chapters, topics",
        written_by=FLEET,
        default_ttl=90 * DAY,
        archive_after=60,
        indexing=Indexing(
            included=("/source/?", "/analysis_period/?", "/period_start/?"),
            composite=((("/analysis_period", "ascending"), ("/period_start", "descending")),),
        ),
    ),
    Container(
        name="daily_metrics",
        partition_key="/date",
        purpose="Per day: performance, usage, cost, quality",
        written_by=FLEET,
        default_ttl=YEAR,
        archive_after=180,
        indexing=Indexing(included=("/date/?", "/document_type/?")),
    ),
    Container(
        name="abuse_incidents",
        partition_key="/user_id",
        purpose="Content moderation events",
        written_by=WEB_APP,
        default_ttl=3 * YEAR,
        archive_after=365,
        indexing=Indexing(
            included=(
                "/user_id/?",
                "/interaction_id/?",
                "/incident_type/?",
                "/severity/?",
                "/review_status/?",
                "/created_at/?",
            ),
            excluded=("/flagged_content/*",),
            composite=((("/review_status", "ascending"), ("/created_at", "descending")),),
        ),
    ),
    Container(
        name="engagement_summary",
        partition_key="/engagement_tier",
        purpose="Per engagement tier and month: people, averages, patterns",
        written_by=FLEET,
        default_ttl=DAY,
        indexing=Indexing(included=("/engagement_tier/?", "/last_updated/?")),
    ),
    Container(
        name="content_popularity",
        partition_key="/time_period",
        purpose="Rankings of texts, passages, topics and personas",
        written_by=FLEET,
        default_ttl=7 * DAY,
        indexing=Indexing(included=("/time_period/?", "/date/?")),
    ),
    Container(
        name="system_health",
        partition_key="/metric_type",
        purpose="Health in windows of five minutes",
        written_by=FLEET,
        default_ttl=DAY,
        indexing=Indexing(included=("/metric_type/?", "/timestamp/?")),
    ),
    Container(
        name="incidents_by_content",
        partition_key="/source",
        purpose="Incidents per foundational text, for moderators",
        written_by=FLEET,
        default_ttl=30 * DAY,
        indexing=Indexing(
            included=("/source/?", "/time_period/?", "/period_start/?"),
            composite=((("/time_period", "ascending"), ("/period_start", "descending")),),
        ),
    ),
    Container(
        name="change_feed_leases",
        partition_key="/id",
        purpose="Leases of the change feed triggers",
        written_by=HOST,
        # The trigger extension queries leases only by the prefix of their id.
        indexing=Indexing(included=("/id/?",)),
    ),
    Container(
        name=POISON_MESSAGES,
        partition_key="/partition_key",
        purpose="Documents that could not be processed, with their error",
        written_by=FLEET,
        default_ttl=NO_EXPIRY_UNLESS_ITEM_SAYS_SO,
        indexing=Indexing(
            included=(
                "/partition_key/?",
                "/status/?",
                "/source_container/?",
                "/handler/?",
                "/error_type/?",
                "/error_field/?",
                "/last_failed_at/?",
            ),
            excluded=("/original_document/*",),
            composite=((("/status", "ascending"), ("/last_failed_at", "descending")),),
        ),
    ),
    Container(
        name=VIEW_STATE,
        partition_key="/shard",
        purpose="Ledger pages and partials: what has been counted, and each shard's share of each view",
        written_by=FLEET,
        autoscale_max=4_000,
        default_ttl=NO_EXPIRY_UNLESS_ITEM_SAYS_SO,
        # Documents are found by their ids, which the service always indexes. What is rare is indexed too:
        # people whose change of consent is pending, and people who refuse.
        indexing=Indexing(included=("/record/pending/?", "/record/refused/?")),
    ),
    Container(
        name=FLEET_STATE,
        partition_key="/scope",
        purpose="The fleet's own small state: generations, audit cursors, price overrides",
        written_by=FLEET,
        default_ttl=NO_EXPIRY_UNLESS_ITEM_SAYS_SO,
        indexing=Indexing(included=("/scope/?",)),
    ),
)

_BY_NAME = {container.name: container for container in CATALOGUE}


ARCHIVED = tuple(each.name for each in CATALOGUE if each.archive_after is not None)
"""Containers of which aged documents are archived."""

VIEW_CONTAINERS = tuple(
    each.name
    for each in CATALOGUE
    if each.written_by == FLEET and each.name not in (VIEW_STATE, FLEET_STATE, POISON_MESSAGES)
)
"""Containers of the documents that the fleet publishes."""


def container(name: str) -> Container:
    """Return the container ``name``.

    Raises
    ------
    KeyError
        The catalogue has no such container.
    """
    return _BY_NAME[name]
