"""Durable functions on the local host: orchestrations whose history outlives every process.

``history`` has the events, ``answers`` reads an orchestrator's reply, ``engine`` decides (pure), ``store``
keeps everything in one SQLite file, ``dispatcher`` runs functions, ``management`` answers HTTP, and ``hub``
is all of it for one host.
"""
