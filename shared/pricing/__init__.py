"""Prices of models: the list that ships with the fleet, and operator overrides."""
