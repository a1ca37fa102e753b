"""Reading texts where something else may stand: what a stranger put there is cleared away."""

from collections.abc import Sequence

from watchword.errors import StorageError, StorageUnavailable
from watchword.storage.secondary import SecondaryStorage, get_many

__all__ = ["find_text", "find_texts"]


async def find_text(storage: SecondaryStorage, key: str) -> str | None:
    """Return a text; None if there is none, or was something else, which then is gone.

    Left there, it would be one more failure of the storage for each who comes upon it.

    Raises:
        StorageError: The storage cannot tell.
    """
    try:
        return await storage.get(key)
    except StorageUnavailable:
        raise
    except StorageError:
        await storage.delete(key)
        return None


async def find_texts(storage: SecondaryStorage, keys: Sequence[str]) -> list[str | None]:
    """Return the same for several keys, in one trip where the storage can do that."""
    try:
        return await get_many(storage, keys)
    except StorageUnavailable:
        raise
    except StorageError:
        return [await find_text(storage, key) for key in keys]
