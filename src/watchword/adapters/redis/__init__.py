"""Redis, or a cluster of it, as the secondary storage."""

from watchword.errors import ConfigurationError

try:
    from watchword.adapters.redis.storage import RedisStorage
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] != "redis":
        raise
    raise ConfigurationError(
        "RedisStorage needs redis, which is not installed.", hint='pip install "watchword[redis]"'
    ) from error

__all__ = ["RedisStorage"]
