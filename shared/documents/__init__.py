"""Source documents in the form that the web application writes: parsing and validation only."""
