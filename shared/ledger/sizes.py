"""How large state documents are: in JSON, in memory, in a transaction."""

from __future__ import annotations

ENVELOPE_BYTES = 400
"""Bytes of a stored document beside its entries or counts, roughly: ids, names, system properties."""

MEMORY_PER_JSON_BYTE = 4
"""A decoded document takes about 3.7 times the bytes of its JSON: 100 pages of 96 KB took 35 MB."""

MAX_OPERATIONS = 100
"""Operations of one transactional batch: the service's limit."""

MAX_BATCH_BYTES = 2_000_000
"""Bytes of the documents of one transactional batch. The service's limit is 2 MB for the request; the rest is
left for the envelope of each operation."""
