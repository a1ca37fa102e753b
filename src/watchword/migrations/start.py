"""What an application does with its tables when it starts: look, and make them the first time."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from watchword.engine.findings import Finding
from watchword.engine.options import SchemaCheck
from watchword.errors import ConfigurationError
from watchword.migrations import has_documents, module_for
from watchword.schema import Schema
from watchword.storage.contract import Adapter

if TYPE_CHECKING:
    from watchword.migrations.look import Look

__all__ = ["check_tables", "find_vital", "start_tables"]

_log = logging.getLogger("watchword")


async def check_tables(adapter: Adapter[Any], schema: Schema) -> list[Finding]:
    """Return what is not as it should be; nothing where there are no tables, as in memory.

    Raises:
        StorageUnavailable: The database cannot be reached.
    """
    look = await _look(adapter, schema)
    return [] if look is None else list(look.findings)


async def find_vital(adapter: Adapter[Any], schema: Schema) -> Sequence[Finding]:
    """Return that with which nothing may be written: promises would be broken silently.

    Raises:
        StorageUnavailable: The database cannot be reached.
    """
    # An SQL database refuses a row for a table that nobody made, and need not be looked at.
    look = await _look(adapter, schema) if has_documents(adapter) else None
    return () if look is None else look.vital


async def start_tables(
    adapter: Adapter[Any],
    schema: Schema,
    check: SchemaCheck,
    *,
    create: Callable[[], Awaitable[None]],
) -> None:
    """Do at the start of an application what `Options.schema_check` says.

    Args:
        adapter: Of the database.
        schema: That is wanted.
        check: What to do.
        create: Makes the tables that are missing.

    Raises:
        ConfigurationError: The check is for errors, and there are some; or there are some with
            which nothing may start.
        StorageUnavailable: The database cannot be reached.
    """
    look = None if check == "off" else await _look(adapter, schema)
    if look is None:
        # Nobody can look, or wants to.
        if check != "error":
            await create()
        return
    if check == "warn" and look.may_create:
        await create()
        look = await _look(adapter, schema) or look
    errors = [it for it in look.findings if it.level == "error"]
    if refused := errors if check == "error" else look.vital:
        raise _refusal(refused)
    for it in look.findings:
        _log.warning("%s %s; to mend it: %s", it.code.name, it.message, it.mend)


async def _look(adapter: Adapter[Any], schema: Schema) -> "Look | None":
    module = module_for(adapter, "check")
    if module is None:
        return None
    look: Look = await module.look_at(adapter, schema)
    return look


def _refusal(errors: Sequence[Finding]) -> ConfigurationError:
    listed = "".join(f"\n  - {it.code.name} {it.message}" for it in errors)
    mends = dict.fromkeys(it.mend for it in errors)
    return ConfigurationError(
        f"The database is not as the schema wants it:{listed}", hint="\n".join(mends)
    )
