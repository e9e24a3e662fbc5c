"""The triggers, one module per kind. They decode, call ``shared`` and log."""
