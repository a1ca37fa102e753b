"""Test kits for adapters, shipped with the library."""
