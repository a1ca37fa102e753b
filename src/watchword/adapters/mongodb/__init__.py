"""The adapter for MongoDB, by PyMongo."""

from watchword.errors import ConfigurationError

try:
    from watchword.adapters.mongodb.adapter import MongoDBAdapter
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] not in {"pymongo", "bson"}:
        raise
    raise ConfigurationError(
        "MongoDBAdapter needs pymongo, which is not installed.",
        hint='pip install "watchword[mongodb]"',
    ) from error

__all__ = ["MongoDBAdapter"]
