"""Sample traffic: what the platform's web application would have written, deterministic for a seed."""
