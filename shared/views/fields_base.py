"""What the references of fields share."""

from __future__ import annotations

NOT_MEASURED = "not measured: null"
"""No source that the fleet reads contains the field. The fleet never invents a value."""

STATE = {
    "calculated_at": "UTC time at which the state behind the document was last written",
    "calculation_version": "version of the formulas; changes when one of them does",
    "state.generation": "generation of the state in view_state",
    "state.revision": "sum of the revisions of the merged partials and of the contents; a lower one never overwrites a higher one",
    "state.tick": "day, half day or hour as of which what depends on the clock was calculated; empty if nothing does",
    "state.content": "hash of what the document says, apart from when it was calculated",
    "state.digest": "hash of the revisions of all shards and contents: the same only for the same state",
    "_ttl": "seconds, for information; the container's default TTL is what expires documents",
}
