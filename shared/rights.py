"""What each function does in each container: the least rights that its identity needs.

`infra/roles.json` is written from this: Azure gives the identities these rights and no others. A test runs
every function with its own rights on a server that refuses everything else, and fails for a right that no
function uses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.containers import CATALOGUE, VIEW_STATE

_ACCOUNT = "Microsoft.DocumentDB/databaseAccounts"
_CONTAINERS = f"{_ACCOUNT}/sqlDatabases/containers"

READ_METADATA = f"{_ACCOUNT}/readMetadata"
"""Every client reads the account, its containers and their partitions. Given for the whole database."""


class Action(StrEnum):
    """The service's actions on the items of a container. There are no others for an identity.

    For a patch the service documents none. That a patch needs REPLACE is an assumption, which was not tried
    against Azure.
    """

    CREATE = f"{_CONTAINERS}/items/create"
    READ = f"{_CONTAINERS}/items/read"
    """By id and partition key. A query needs QUERY."""
    REPLACE = f"{_CONTAINERS}/items/replace"
    UPSERT = f"{_CONTAINERS}/items/upsert"
    DELETE = f"{_CONTAINERS}/items/delete"
    QUERY = f"{_CONTAINERS}/executeQuery"
    FEED = f"{_CONTAINERS}/readChangeFeed"


class Identity(StrEnum):
    """The user-assigned identities of the function app."""

    FLEET = "fleet"
    """Reads the sources, writes what is the fleet's own."""
    LIFECYCLE = "lifecycle"
    """Archives, restores, erases and migrates: may write and delete in the sources."""


Grants = Mapping[str, frozenset[Action]]
"""Actions by container."""


def _grants(**containers: str) -> Grants:
    return {
        name: frozenset(Action[word.upper()] for word in text.split()) for name, text in containers.items()
    }


@dataclass(frozen=True, slots=True)
class Work:
    """A kind of work that several functions may do."""

    name: str
    grants: Grants


PUBLISHED = (
    "content_analytics",
    "content_popularity",
    "daily_metrics",
    "incidents_by_content",
    "user_analytics",
)

BEGIN = Work(
    "begin",
    _grants(
        fleet_state="create read replace",
        view_state="create read replace query",
        **dict.fromkeys((*PUBLISHED, "engagement_summary", "system_health"), "query"),
    ),
)
"""A process records the generation of its settings, after a look whether anything was published before."""

FOLD = Work(
    "fold",
    _grants(
        users="read query",
        **dict.fromkeys(("user_sessions", "user_interactions", "abuse_incidents"), "read"),
        # The register of people: read for new people, written for refusals.
        fleet_state="create read replace query",
        view_state="create read replace query",
        poison_messages="create read replace",
    ),
)
"""A document that looks older than what was counted is read again."""

PUBLISH = Work(
    "publish",
    _grants(
        fleet_state="create read",
        view_state="read replace query",
        personalities="query",
        personality_vectors="query",
        user_analytics="create read replace delete query",
        content_analytics="create replace query",
        **dict.fromkeys(("content_popularity", "daily_metrics"), "create read replace"),
        # A text of which no incident is left has no document.
        incidents_by_content="create read replace delete",
    ),
)

SCHEDULE = Work(
    "scheduled work",
    _grants(
        fleet_state="create read replace",
        view_state="create read replace upsert delete query",
        engagement_summary="create read replace",
        # The usage of passages is a patch: see Action.
        personality_vectors="query replace",
    ),
)

AUDIT = Work(
    "audit",
    _grants(
        fleet_state="create read replace",
        **dict.fromkeys(
            ("users", "user_sessions", "user_interactions", "abuse_incidents", VIEW_STATE), "feed"
        ),
    ),
)

REPAIR = Work(
    "replay",
    _grants(
        poison_messages="create read replace query",
        **dict.fromkeys(("users", "user_sessions", "user_interactions", "abuse_incidents"), "read"),
    ),
)
"""A replay reads the document as it is now."""

REPRICE = Work("repricing", _grants(fleet_state="create read replace query", view_state="read replace query"))

HEALTH = Work("health", _grants(fleet_state="read", view_state="query", system_health="create read replace"))

LEASES = Work("leases", _grants(change_feed_leases="create read replace delete query"))
"""What the platform's Cosmos DB trigger does in its lease container."""

AGING = (
    "user_sessions", "user_interactions", "abuse_incidents", "user_analytics", "content_analytics",
    "daily_metrics",
)  # fmt: skip

ARCHIVE = Work(
    "archive",
    _grants(fleet_state="create read replace query", **dict.fromkeys(AGING, "query")),
)
"""Aged documents are found by queries. Restores are commands, under the operator's own identity."""

ERASE = Work(
    "erasure",
    _grants(
        fleet_state="create read replace query",
        view_state="create read replace delete query",
        poison_messages="delete query",
        **dict.fromkeys(
            ("users", "user_sessions", "user_interactions", "abuse_incidents", "user_analytics"),
            "delete query",
        ),
    ),
)
"""Everything about one person is found, exported and deleted."""

MIGRATE = Work(
    "migration",
    _grants(
        fleet_state="create read replace query",
        users="read replace query feed",
        user_sessions="read replace query feed",
        user_interactions="read replace query feed",
        abuse_incidents="feed",  # they have one version
        personalities="create read query feed",
        personality_vectors="create read replace delete query feed",
    ),
)
"""Documents are rewritten in a newer version, or under another key: created there, then deleted here."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What one function may do, and as whom."""

    identity: Identity = Identity.FLEET
    work: tuple[Work, ...] = ()
    feed: str = ""
    """The container whose change feed triggers the function."""

    def works(self) -> tuple[Work, ...]:
        """Return all kinds of work, those of the trigger too."""
        return (*self.work, LEASES, _feed_of(self.feed)) if self.feed else self.work


def _feed_of(container: str) -> Work:
    return Work(f"feed of {container}", {container: frozenset({Action.FEED})})


FUNCTIONS: dict[str, Rights] = {
    "fold_user_interactions": Rights(work=(BEGIN, FOLD), feed="user_interactions"),
    "fold_user_sessions": Rights(work=(BEGIN, FOLD), feed="user_sessions"),
    "fold_abuse_incidents": Rights(work=(BEGIN, FOLD), feed="abuse_incidents"),
    "fold_users": Rights(work=(BEGIN, FOLD), feed="users"),
    "publish_views": Rights(work=(BEGIN, PUBLISH), feed=VIEW_STATE),
    "refresh_health_with_days": Rights(work=(BEGIN, HEALTH), feed="daily_metrics"),
    "audit_feeds": Rights(work=(BEGIN, AUDIT, FOLD, PUBLISH)),
    "replay_repaired": Rights(work=(BEGIN, REPAIR, FOLD, PUBLISH)),
    "apply_prices": Rights(work=(BEGIN, REPRICE)),
    "refresh_health": Rights(work=(BEGIN, HEALTH)),
    "refresh_views": Rights(work=(BEGIN, PUBLISH, SCHEDULE)),
    "health": Rights(),
    "list_poison": Rights(work=(BEGIN, REPAIR)),
    "get_poison": Rights(work=(BEGIN, REPAIR)),
    "settle_poison": Rights(work=(BEGIN, REPAIR, FOLD, PUBLISH)),
}
"""Functions by name."""

FAMILIES: dict[str, Rights] = {
    "functions.archive": Rights(Identity.LIFECYCLE, (BEGIN, ARCHIVE)),
    "functions.people": Rights(Identity.LIFECYCLE, (BEGIN, ERASE)),
    "functions.schema": Rights(Identity.LIFECYCLE, (BEGIN, MIGRATE)),
}
"""Functions of these modules share their rights: an orchestration is many functions that do one thing."""


def granted(rights: Iterable[Rights]) -> dict[str, frozenset[Action]]:
    """Return what several functions may do together, by container in the order of the catalogue."""
    united: defaultdict[str, set[Action]] = defaultdict(set)
    for each in rights:
        for work in each.works():
            for name, actions in work.grants.items():
                united[name] |= actions
    return {each.name: frozenset(united[each.name]) for each in CATALOGUE if each.name in united}


def grants_of(identity: Identity) -> dict[str, frozenset[Action]]:
    """Return what an identity may do, by container."""
    return granted(each for each in (*FUNCTIONS.values(), *FAMILIES.values()) if each.identity is identity)


def rights_of(function: str, module: str) -> Rights | None:
    """Return the rights of a function, None if it has none here. ``module`` is where it is defined."""
    return FUNCTIONS.get(function) or FAMILIES.get(module)


_FURTHEST = (Action.DELETE, Action.REPLACE, Action.READ, Action.QUERY)

PROBES: Mapping[str, Action] = {
    name: next(action for action in _FURTHEST if action in actions)
    for name, actions in grants_of(Identity.FLEET).items()
}
"""By container, the action by which readiness finds out whether the fleet may do its work there."""

FUNCTIONS["ready"] = Rights(
    work=(BEGIN, Work("readiness", {name: frozenset({action}) for name, action in PROBES.items()}))
)


@dataclass(frozen=True, slots=True)
class Role:
    """A role of people or of another application, as the specification has it."""

    name: str
    description: str
    grants: Grants


ROLES: tuple[Role, ...] = (
    Role(
        "admin",
        "Everything in every container",
        {each.name: frozenset(Action) for each in CATALOGUE},
    ),
    Role(
        "analytics_reader",
        "Reads the analytics",
        _grants(**dict.fromkeys(("user_analytics", "content_analytics", "daily_metrics"), "read query")),
    ),
    Role(
        "application_service",
        "The web application",
        _grants(
            **dict.fromkeys(
                ("users", "user_sessions", "user_interactions", "personality_vectors"),
                "create read replace query",
            )
        ),
    ),
    Role(
        "content_moderator",
        "Reviews incidents",
        _grants(**dict.fromkeys(("user_interactions", "abuse_incidents"), "read replace query")),
    ),
)
"""The specification's ``rbac_roles``. Its "update_document" is REPLACE; its "*" is every action by name."""
