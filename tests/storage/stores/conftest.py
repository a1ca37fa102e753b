"""The stores of an instance on each database, for the suites that every store has to pass."""

from typing import Final

import pytest

from watchword import Field, SessionOptions, UserOptions
from watchword.plugins.username import Username

DATABASES: Final = [
    "memory",
    "sqlite",
    *(
        pytest.param(it, marks=[getattr(pytest.mark, it), pytest.mark.xdist_group(it)])
        for it in ("postgresql", "mysql")
    ),
]


@pytest.fixture(params=DATABASES)
def stored(request, new_auth, sql_auth):
    """An instance in which nobody is."""
    settings = {
        "plugins": [Username(username_normalization=None)],
        "user": UserOptions(
            additional_fields={
                "plan": Field("string", required=False),
                "logins": Field("integer", default=0),
            }
        ),
        "session": SessionOptions(additional_fields={"theme": Field("string", required=False)}),
    }
    if request.param == "memory":
        return new_auth(**settings)
    return sql_auth(request.getfixturevalue(f"{request.param}_database"), **settings)
