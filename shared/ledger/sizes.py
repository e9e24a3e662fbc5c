"""Sizes of state documents: in JSON, in memory and in a transaction."""

from __future__ import annotations

from shared.units import KILOBYTE

ENVELOPE_BYTES = 400
"""Estimated bytes of a stored document besides its entries or counts: ids, names, system properties."""

PAGE_BYTES = 80 * KILOBYTE
"""Size at which a page is full. Every batch with a document of its hour rewrites the whole page. 160 facts of
some 400 bytes are 64 KB; replacing them costs an estimated 67 RU. More documents start further parts instead
of more expensive writes."""

MAX_ENTRY_BYTES = 16 * KILOBYTE
"""Bytes of the largest entry of a document: ids of 255 characters, the longest lists and names."""

MAX_PAGE_BYTES = 112 * KILOBYTE
"""Size up to which a page may grow when its entries become larger. Beyond it they move to another part."""

RESERVE_BYTES = 8 * KILOBYTE
"""Room that a state is taken to need for one more document, so that a full state refuses it without a try."""

MAX_MOVED_INCIDENTS = 4
"""Incidents that follow an interaction to its text in one transaction."""

MEMORY_PER_JSON_BYTE = 5
"""Bytes of memory per byte of a decoded document's weight, besides :data:`MEMORY_PER_DOCUMENT`. The documents
of a day of sample traffic need 3.3 to 4.9."""

MEMORY_PER_DOCUMENT = 500
"""Bytes of memory that remembering a document takes, whatever it says; also of one that does not exist."""

MAX_OPERATIONS = 100
"""Operations of one transactional batch: the service's limit."""

MAX_BATCH_BYTES = 2_000_000
"""Bytes of the documents of one transactional batch. The service's limit is 2 MB for the request. The rest is
for the envelope of each operation."""


def memory_of(weight: int) -> int:
    """Return the estimated memory, in bytes, of a remembered document with ``weight`` bytes of JSON."""
    return weight * MEMORY_PER_JSON_BYTE + MEMORY_PER_DOCUMENT
