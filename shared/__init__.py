"""The domain of the fleet: documents, facts, ledger, views, pricing, poison. Knows nothing of Azure Functions."""
