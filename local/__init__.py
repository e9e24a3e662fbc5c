"""The laptop stack: a Cosmos DB-compatible server, a Functions host, sample traffic."""
