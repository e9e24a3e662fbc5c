"""The triggers, one module per family: decode, call ``shared``, log."""
