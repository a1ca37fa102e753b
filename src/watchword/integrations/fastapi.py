"""FastAPI: the endpoints in an application, and its users in its own routes."""

from typing import Annotated, TypeAlias

from watchword.errors import APIError, CoreError
from watchword.integrations import missing_framework
from watchword.storage.entities import Identity, User

try:
    from fastapi import Depends
except ModuleNotFoundError as error:
    raise missing_framework("fastapi", error) from error

from watchword.integrations.starlette import current_session, mount

__all__ = [
    "CurrentSession",
    "CurrentUser",
    "OptionalSession",
    "current_session",
    "mount",
    "require_session",
    "require_user",
]


# Each depends on the one before it, so that a test which overrides `current_session` by
# `app.dependency_overrides` decides for all.
async def require_session(
    identity: Annotated[Identity | None, Depends(current_session)],
) -> Identity:
    """Return who sends the request.

    Raises:
        APIError: Nobody who is signed in; it becomes a 401.
    """
    if identity is None:
        raise APIError(CoreError.UNAUTHORIZED)
    return identity


async def require_user(identity: Annotated[Identity, Depends(require_session)]) -> User:
    """Return the user who sends the request.

    Raises:
        APIError: Nobody who is signed in; it becomes a 401.
    """
    return identity.user


OptionalSession: TypeAlias = Annotated[Identity | None, Depends(current_session)]
"""Who sends the request, or None."""
CurrentSession: TypeAlias = Annotated[Identity, Depends(require_session)]
"""Who sends the request; others get a 401."""
CurrentUser: TypeAlias = Annotated[User, Depends(require_user)]
"""The user who sends the request; others get a 401."""
