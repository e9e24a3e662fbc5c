"""A Functions host for the laptop: runs ``function_app.py`` with the platform's own delivery semantics."""
