"""The reference keeps the contract that others are measured by."""

from typing import Any

import pytest

from watchword.adapters.memory import MemoryAdapter
from watchword.testing import AdapterSuite


class TestMemory(AdapterSuite):
    """Rows in dicts; every operation waits for its turn, so one connection is all there is."""

    has_pool = True

    @pytest.fixture
    def adapter(self):
        """Start with nothing."""
        return MemoryAdapter()

    @pytest.fixture
    def small_pool(self):
        """Let callers wait for one another, as for one connection."""
        return MemoryAdapter()

    @pytest.fixture
    def peek(self, adapter):
        """Look into the tables."""

        def peek(model: str) -> list[dict[str, Any]]:
            return [dict(row) for row in adapter._tables[model].values()]

        return peek


class TestMemoryMakesIds(TestMemory):
    """The same with integers for ids."""

    ids = "bigint"
    rounds = 10
