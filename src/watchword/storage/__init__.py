"""The storage contract, the queries it takes, and the store over it."""
