"""The routes that every instance has."""

from typing import Final

from watchword.endpoints.accounts import Accounts
from watchword.endpoints.calls import API, BlockingAPI
from watchword.endpoints.change_email import ChangeUserEmail
from watchword.endpoints.delete_user import UserDeletion
from watchword.endpoints.get_session import GetSession
from watchword.endpoints.passwords import Passwords
from watchword.endpoints.reset_password import ResetPassword
from watchword.endpoints.sessions import Sessions
from watchword.endpoints.sign_in import SignIn
from watchword.endpoints.sign_out import SignOut
from watchword.endpoints.sign_up import SignUp
from watchword.endpoints.status import Status
from watchword.endpoints.update_user import UpdateUser
from watchword.endpoints.verify_email import VerifyEmail
from watchword.engine.plugin import Plugin

__all__ = ["API", "CORE_ENDPOINTS", "BlockingAPI"]

CORE_ENDPOINTS: Final[tuple[Plugin, ...]] = (
    SignUp(),
    SignIn(),
    SignOut(),
    GetSession(),
    Sessions(),
    UpdateUser(),
    UserDeletion(),
    ChangeUserEmail(),
    VerifyEmail(),
    Passwords(),
    ResetPassword(),
    Accounts(),
    Status(),
)
