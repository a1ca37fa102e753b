"""Backends for the storage contract."""
