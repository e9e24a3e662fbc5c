"""Audit, rebuild, reprice, replay: what repairs state and documents."""
