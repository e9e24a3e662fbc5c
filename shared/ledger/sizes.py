"""Sizes of state documents: in JSON, in memory and in a transaction."""

from __future__ import annotations

ENVELOPE_BYTES = 400
"""Estimated bytes of a stored document besides its entries or counts: ids, names, system properties."""

MEMORY_PER_JSON_BYTE = 4
"""A decoded document needs about 3.7 times the bytes of its JSON: 100 pages of 96 KB needed 35 MB."""

MAX_OPERATIONS = 100
"""Operations of one transactional batch: the service's limit."""

MAX_BATCH_BYTES = 2_000_000
"""Bytes of the documents of one transactional batch. The service's limit is 2 MB for the request. The rest is
for the envelope of each operation."""
