"""What MongoDB promises, in memory: catalog, validators, filters, updates and transactions."""
