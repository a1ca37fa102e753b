"""Test kits for adapters, stores and integrations, shipped with the library."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from watchword.testing.account_store_suite import AccountStoreSuite
    from watchword.testing.adapter_suite import AdapterSuite
    from watchword.testing.integration_suite import IntegrationSuite
    from watchword.testing.secondary_storage_suite import SecondaryStorageSuite
    from watchword.testing.session_store_suite import SessionStoreSuite
    from watchword.testing.user_store_suite import UserStoreSuite
    from watchword.testing.verification_store_suite import VerificationStoreSuite

__all__ = [
    "AccountStoreSuite",
    "AdapterSuite",
    "IntegrationSuite",
    "SecondaryStorageSuite",
    "SessionStoreSuite",
    "UserStoreSuite",
    "VerificationStoreSuite",
]

_SUITES: Final = {
    "AccountStoreSuite": "account_store_suite",
    "AdapterSuite": "adapter_suite",
    "IntegrationSuite": "integration_suite",
    "SecondaryStorageSuite": "secondary_storage_suite",
    "SessionStoreSuite": "session_store_suite",
    "UserStoreSuite": "user_store_suite",
    "VerificationStoreSuite": "verification_store_suite",
}


def __getattr__(name: str) -> Any:
    """Load a suite when it is asked for.

    The pytest plugin beside it is imported wherever the package is installed, so it must not
    bring hypothesis and all suites along.
    """
    if name in _SUITES:
        return getattr(import_module(f"watchword.testing.{_SUITES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
