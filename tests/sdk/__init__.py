"""The SDK's own published tests, run against the local database server: ``python -m tests.sdk``."""
