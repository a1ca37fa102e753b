"""The routes that every instance has."""

from typing import Final

from watchword.endpoints.get_session import GetSession
from watchword.endpoints.sign_in import SignIn
from watchword.endpoints.sign_out import SignOut
from watchword.endpoints.sign_up import SignUp
from watchword.engine.plugin import Plugin

__all__ = ["CORE_ENDPOINTS"]

CORE_ENDPOINTS: Final[tuple[Plugin, ...]] = (SignUp(), SignIn(), GetSession(), SignOut())
