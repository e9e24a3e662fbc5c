"""Change feed triggers of the source containers. They fold every change into ``view_state``."""

from __future__ import annotations

import azure.functions as func

from functions.change_feed import change_feed_trigger
from functions.runtime import fleet
from shared.facts import ABUSE_INCIDENTS, USER_INTERACTIONS, USER_SESSIONS, USERS

blueprint = func.Blueprint()

PREFIX, POLL_DELAY_MS = "fold", 1000

ACCOUNTS_PAGE = 400
"""Accounts that one invocation asks for. Each is in a document of its own, so that larger pages would save
little, and each may need its live document: 1,000 of them took 80 s on a busy machine."""


@change_feed_trigger(
    blueprint, "fold_user_interactions", USER_INTERACTIONS, prefix=PREFIX, poll_delay_ms=POLL_DELAY_MS
)
async def fold_user_interactions(documents: func.DocumentList) -> None:
    """Count new and changed interactions."""
    await (await fleet()).ingest.ingest_batch(USER_INTERACTIONS, list(map(dict, documents)))


@change_feed_trigger(
    blueprint, "fold_user_sessions", USER_SESSIONS, prefix=PREFIX, poll_delay_ms=POLL_DELAY_MS
)
async def fold_user_sessions(documents: func.DocumentList) -> None:
    """Count new and changed sessions."""
    await (await fleet()).ingest.ingest_batch(USER_SESSIONS, list(map(dict, documents)))


@change_feed_trigger(
    blueprint, "fold_abuse_incidents", ABUSE_INCIDENTS, prefix=PREFIX, poll_delay_ms=POLL_DELAY_MS
)
async def fold_abuse_incidents(documents: func.DocumentList) -> None:
    """Count new and changed incidents by text."""
    await (await fleet()).ingest.ingest_batch(ABUSE_INCIDENTS, list(map(dict, documents)))


@change_feed_trigger(
    blueprint, "fold_users", USERS, prefix=PREFIX, poll_delay_ms=POLL_DELAY_MS, max_items=ACCOUNTS_PAGE
)
async def fold_users(documents: func.DocumentList) -> None:
    """Fold consent changes."""
    await (await fleet()).ingest.ingest_batch(USERS, list(map(dict, documents)))
