"""``make bench``: the fleet against the specification's per-document processor, in one run."""
