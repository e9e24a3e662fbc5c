"""Documents out: what to publish, its inputs, the decision, the write."""
