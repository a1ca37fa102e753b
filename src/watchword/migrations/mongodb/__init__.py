"""Bring a MongoDB database from one schema to another."""
