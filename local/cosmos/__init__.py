"""A Cosmos DB-compatible server for the laptop: the real ``azure-cosmos`` SDK talks to it over HTTP."""
