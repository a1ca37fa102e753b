"""The adapter for SQL databases."""

from watchword.adapters.sqlalchemy.adapter import SQLAlchemyAdapter

__all__ = ["SQLAlchemyAdapter"]
