"""Every core endpoint as a Python call, for both kinds of instance."""

from watchword.endpoints.accounts import Accounts, UnlinkBody
from watchword.endpoints.change_email import ChangeEmailBody, ChangeUserEmail
from watchword.endpoints.delete_user import DeleteUserBody, UserDeletion
from watchword.endpoints.get_session import GetSession, GetSessionQuery
from watchword.endpoints.passwords import (
    ChangePasswordBody,
    Passwords,
    SetPasswordBody,
    VerifyPasswordBody,
)
from watchword.endpoints.reset_password import RequestResetBody, ResetPassword, ResetPasswordBody
from watchword.endpoints.sessions import RevokeSessionBody, Sessions, UpdateSessionBody
from watchword.endpoints.sign_in import SignIn, SignInBody
from watchword.endpoints.sign_out import SignOut, SignOutBody
from watchword.endpoints.sign_up import SignUp, SignUpBody
from watchword.endpoints.status import Status
from watchword.endpoints.update_user import UpdateUser, UpdateUserBody
from watchword.endpoints.verify_email import SendVerificationBody, VerifyEmail, VerifyEmailQuery
from watchword.engine.api import AsyncCalls, BlockingCalls, Call, Calls, nothing

__all__ = ["API", "BlockingAPI"]


class _CoreCalls(Calls):
    sign_up_email = Call(SignUpBody, SignUp.with_email)
    sign_in_email = Call(SignInBody, SignIn.with_email)
    sign_out = Call(SignOutBody, SignOut.sign_out)
    get_session = Call(GetSessionQuery, GetSession.read)
    update_session = Call(UpdateSessionBody, Sessions.update)
    list_sessions = Call(nothing, Sessions.list_all)
    revoke_session = Call(RevokeSessionBody, Sessions.revoke)
    revoke_sessions = Call(nothing, Sessions.revoke_all)
    revoke_other_sessions = Call(nothing, Sessions.revoke_others)
    update_user = Call(UpdateUserBody, UpdateUser.update)
    delete_user = Call(DeleteUserBody, UserDeletion.delete)
    change_email = Call(ChangeEmailBody, ChangeUserEmail.change)
    send_verification_email = Call(SendVerificationBody, VerifyEmail.send)
    verify_email = Call(VerifyEmailQuery, VerifyEmail.verify)
    change_password = Call(ChangePasswordBody, Passwords.change)
    set_password = Call(SetPasswordBody, Passwords.set)
    verify_password = Call(VerifyPasswordBody, Passwords.verify)
    request_password_reset = Call(RequestResetBody, ResetPassword.request)
    reset_password = Call(ResetPasswordBody, ResetPassword.reset)
    list_accounts = Call(nothing, Accounts.list_all)
    unlink_account = Call(UnlinkBody, Accounts.unlink)
    ok = Call(nothing, Status.ok)


class API(_CoreCalls, AsyncCalls):
    """The core endpoints as coroutines: `await auth.api.sign_in_email(email=…, password=…)`."""


class BlockingAPI(_CoreCalls, BlockingCalls):
    """The core endpoints as functions: `auth.api.sign_in_email(email=…, password=…)`."""
