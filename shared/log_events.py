"""Every event that the fleet logs, by name, with its meaning, and the fields that may hold words.

A test compares the events with the code. A text in any other field is not logged, only its length.
"""

from __future__ import annotations

LOG_EVENTS = {
    "archive_overdue": "documents were about to expire, within 14 days, when they were read to be archived",
    "audit_cursor_reset": "a container has another resource id: its feed is audited from the beginning",
    "audit_cursor_unreadable": "a cursor cannot be read, or is refused: its range is read from the beginning",
    "audit_failed": "the audit of one feed failed; the other feeds were audited",
    "batch_folded": "a batch of source documents was counted; with verdicts, conflicts and cost",
    "builds_left": "a run of the builds took long enough; the next one does the rest",
    "content_not_built": "a day's or month's content was not built: its inputs lag, or change too quickly",
    "database_faults": "requests were throttled, refused or not answered: the first, then counts every 30 s",
    "document_poisoned": "a source document could not be counted and went to poison",
    "document_still_in_poison": "an audit found a document in the version that is in poison (level debug)",
    "documents_migrated": "a run of a migration ended: its documents are of a newer schema version; with "
    "counts and cost",
    "erasure_left": "an erasure found something left, and begins again; with the number of places",
    "erasure_step": "a step of an erasure is done; with what it found",
    "exports_deleted": "exports of people's data were deleted, because their time was over",
    "feed_audited": "the auditor read a feed; a warning if it repaired anything",
    "documents_archived": "a run of the archive over one container has ended; with outcomes and cost",
    "fleet_refuses_work": "no invocation can succeed until a person does what the reason says",
    "fleet_works_again": "what made the fleet refuse to work is corrected",
    "generation_complete": "a generation has counted everything; its figures are published from now on",
    "generations_lost": "the record of generations is gone, state or views are not: figures are held back",
    "generation_recorded": "fleet_state recorded a generation: that it began, or that it is complete",
    "generation_removed": "the state of an earlier generation was deleted; with counts and cost",
    "health_held_back": "system_health is not published: the generation is not complete",
    "health_refreshed": "system_health was published",
    "http_unavailable": "an HTTP request was answered with 503: database, settings or time",
    "incidents_not_moved": "incidents stay in the month of their old text: that of the new one has no room",
    "newer_schema_version": "a document of a newer minor schema version was read as the newest known one; "
    "once per source, version and process",
    "most_of_batch_failed": "most of a batch failed in the fold: the batch is retried, not poisoned",
    "person_exported": "the export of a person's data was stored",
    "person_purged": "published documents about a person who refuses analytics_consent were deleted",
    "person_request": "the export or erasure of a person was asked for; with the id of the request",
    "poison_repaired": "pending poison rows were replayed, because their documents were repaired",
    "poison_row_refused": "the service refused a poison row; a smaller row is stored in its place",
    "price_override_unusable": "an operator's price override was left out; the problem is named",
    "prices_applied": "costs were corrected to changed prices",
    "prices_not_refreshed": "price overrides could not be read; the table in use stays in use",
    "reference_not_refreshed": "personality_vectors or personalities could not be read again; what was "
    "read before stays in use",
    "reference_too_large": "there are too many personality_vectors to join: figures about texts are null",
    "refresh_held_back": "scheduled views are not published: the generation is not complete",
    "tiers_published": "people were counted by engagement tier, and the documents were published",
    "usage_written": "passage usage was written into personality_vectors",
    "view_poisoned": "a document of a view could not be published and went to poison",
    "views_held_back": "views are not published: the generation is not complete",
    "views_published": "documents of views were published; with outcomes and cost",
    "views_rebuilt": "the state of views was counted again from the ledger",
    "views_refreshed": "scheduled views were published, as far as the time allowed; with outcomes and cost",
    "withdrawal_failed": "a document's earlier version could not be uncounted; the document is in poison",
}

LOG_WORDS = {
    "error_type": "class of an error",
    "event": "name of the event",
    "exception": "the code that an error came through, without its message",
    "faults": "numbers, by container, operation and fault",
    "feed": "name of a source container",
    "field": "path of a field in the table of fields",
    "kind": "kind of a request about a person",
    "level": "level of the event",
    "override": "id of a price override",
    "period": "a day or month",
    "poison_id": "id of a poison row",
    "problem": "what is wrong with what an operator wrote",
    "request": "id of a request about a person",
    "schema_version": "version that a source document states: digits and points",
    "shard": "name of a shard",
    "source": "name of a source container",
    "timestamp": "time of the event",
    "view": "name of a view",
    "views": "names of views",
    "where": "module and line",
}
"""Fields of events whose values may be texts. Of source documents there are only versions."""
