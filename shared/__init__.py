"""The domain: documents, facts, ledger, views, pricing, poison. Knows nothing of Azure Functions."""
