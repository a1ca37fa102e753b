"""Hooks: asked in order, able to refuse and to change, and `def` or `async def`."""

import pytest

from watchword.errors import OperationRefused
from watchword.storage.hooks import DatabaseHook, DatabaseHooks


async def later(row):
    """Add something, as a coroutine."""
    return {"b": row["a"] + 1}


async def test_each_hook_sees_what_the_ones_before_it_changed():
    """In the order in which they were given."""
    hooks = DatabaseHooks(
        [
            DatabaseHook(model="user", operation="create", before=lambda row: {"a": row["a"] + 1}),
            DatabaseHook(model="user", operation="create", before=later),
            DatabaseHook(model="user", operation="create", before=lambda _row: None),
            DatabaseHook(model="user", operation="update", before=lambda _row: {"a": 0}),
            DatabaseHook(model="session", operation="create", before=lambda _row: {"a": 0}),
        ]
    )

    assert await hooks.before("user", "create", {"a": 1}) == {"a": 2, "b": 3}


async def test_false_refuses_and_ends_the_row():
    """Later hooks are not asked; an empty answer is no refusal."""
    asked = []
    hooks = DatabaseHooks(
        [
            DatabaseHook(model="user", operation="delete", before=lambda _row: {}),
            DatabaseHook(model="user", operation="delete", before=lambda _row: False),
            DatabaseHook(model="user", operation="delete", before=asked.append),
        ]
    )

    with pytest.raises(OperationRefused) as refusal:
        await hooks.before("user", "delete", {"id": 1})

    assert (refusal.value.model, refusal.value.operation, asked) == ("user", "delete", [])


async def test_a_hook_changes_a_copy():
    """What it does to the row that it was shown is nobody's business."""
    data = {"a": 1}
    hooks = DatabaseHooks(
        [DatabaseHook(model="user", operation="create", before=lambda row: row.clear())]
    )

    assert await hooks.before("user", "create", data) == {"a": 1}
    assert data == {"a": 1}


def test_it_is_known_who_is_concerned():
    """So that bulk writes go row by row only where somebody wants to see each."""
    hooks = DatabaseHooks(
        [
            DatabaseHook(model="user", operation="create", before=print),
            DatabaseHook(model="user", operation="update", after=print),
            DatabaseHook(model="user", operation="delete"),
        ]
    )

    assert hooks.concern("user", "create")
    assert hooks.concern("user", "update")
    assert not hooks.concern("user", "delete")
    assert not hooks.concern("session", "create")
    assert list(hooks.after("user", "update")) == [print]
    assert list(hooks.after("user", "create")) == []


async def test_true_lets_a_write_go_on():
    """Whoever returns what they compared means no harm by it."""
    hooks = DatabaseHooks([DatabaseHook(model="user", operation="create", before=lambda _: True)])

    assert await hooks.before("user", "create", {"name": "Ada"}) == {"name": "Ada"}
