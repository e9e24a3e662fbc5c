"""Durable functions on the local host: orchestrations whose history outlives every process.

Pure: ``history`` has the events, ``answers`` reads an orchestrator's reply, ``episodes`` chooses what it is
told, ``plan`` numbers what it asks for, ``engine`` decides, ``work`` has the terms. One SQLite file
(``database``, ``rows``, ``transitions``): ``store`` has the work of the hosts, ``instances`` what clients
see. ``dispatcher`` runs functions, ``management`` and ``payloads`` answer HTTP, and ``hub`` is all of it
for one host.
"""
