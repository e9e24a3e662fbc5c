"""The soak: a real fleet under traffic, faults, kills and splits, and the proof that nothing came of it."""
