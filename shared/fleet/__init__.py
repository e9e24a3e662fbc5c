"""Composition roots: what functions and commands call, put together from the settings.

wiring    the change-feed fleet over one database connection
archive   the archive, over a connection to Blob Storage
people    exports and erasures, over both and an identity that may delete
"""
