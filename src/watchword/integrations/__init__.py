"""Frameworks: each file turns its requests and responses into ours."""
