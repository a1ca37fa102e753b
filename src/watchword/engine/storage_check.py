"""Secondary storages that would fail with the first request, found before that."""

from collections.abc import Iterable
from contextlib import AsyncExitStack

from watchword.crypto.tokens import new_token
from watchword.engine.findings import Code, Finding
from watchword.errors import StorageError
from watchword.storage.secondary import SecondaryStorage

__all__ = ["check_storages"]

_MEND = "Start it, make room in it, or correct its URL and password."


async def check_storages(storages: Iterable[SecondaryStorage]) -> list[Finding]:
    """Return which of them do not keep a value for a moment; each is closed after that."""
    reasons = [(storage, await _reason(storage)) for storage in storages]
    return [
        Finding(Code.W113, "error", f"{type(storage).__name__}: {reason}", _MEND)
        for storage, reason in reasons
        if reason is not None
    ]


async def _reason(storage: SecondaryStorage) -> str | None:
    key, value = f"check:{new_token()}", new_token()
    try:
        async with AsyncExitStack() as last:
            last.push_async_callback(storage.close)
            await storage.set(key, value, ttl=10)
            kept = await storage.get_and_delete(key)
    except StorageError as error:
        return str(error)
    return None if kept == value else "It forgot what it was given a moment before."
