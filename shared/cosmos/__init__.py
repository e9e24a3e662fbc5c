"""The edge to Cosmos DB: client, retries, charges, items, provisioning."""
