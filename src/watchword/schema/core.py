"""The four models that every instance has."""

from typing import Final

from watchword.schema.fields import NOW, Field, Model, Unique

__all__ = ["ACCOUNT", "CORE_MODELS", "CORE_VERSION", "SESSION", "USER", "VERIFICATION"]

CORE_VERSION: Final = 1
"""Raised with every change of these models: an older release must not undo a newer one's."""

_TIMESTAMPS: Final = {
    "created_at": Field("datetime", default=NOW, input=False),
    "updated_at": Field("datetime", default=NOW, on_update=NOW, input=False),
}
# Issued by others, so of any length: an OAuth token can have thousands of characters.
_FOREIGN_SECRET: Final = Field(
    "text",
    required=False,
    returned=False,
    input=False,
    sealed=True,
    comment="Encrypted by the application",
)

USER: Final = Model(
    "user",
    {
        "name": Field("string", pii=True),
        "email": Field("string", unique=True, max_length=254, pii=True),
        "email_verified": Field("boolean", default=False, input=False),
        "image": Field("text", required=False, pii=True),
        **_TIMESTAMPS,
    },
    comment="People who can sign in",
)

SESSION: Final = Model(
    "session",
    {
        "user_id": Field.reference("user"),
        "token": Field(
            "string",
            unique=True,
            max_length=64,
            digest=True,
            input=False,
            comment="SHA-256 of the token in the cookie",
        ),
        "expires_at": Field("datetime", index=True, input=False, expiry=True),
        "ip_address": Field("string", required=False, max_length=64, input=False, pii=True),
        "user_agent": Field("text", required=False, input=False, pii=True),
        **_TIMESTAMPS,
    },
    comment="Who is signed in where",
)

ACCOUNT: Final = Model(
    "account",
    {
        "user_id": Field.reference("user"),
        "account_id": Field("string", pii=True),
        "provider_id": Field("string"),
        "access_token": _FOREIGN_SECRET,
        "refresh_token": _FOREIGN_SECRET,
        "id_token": _FOREIGN_SECRET,
        "access_token_expires_at": Field("datetime", required=False, returned=False, input=False),
        "refresh_token_expires_at": Field("datetime", required=False, returned=False, input=False),
        "scope": Field("text", required=False, input=False),
        "password": Field("text", required=False, returned=False, input=False, comment="Argon2id"),
        **_TIMESTAMPS,
    },
    uniques=(Unique("provider_id", "account_id"),),
    comment="Ways to sign in: a password, or an account of a provider",
)

VERIFICATION: Final = Model(
    "verification",
    {
        "identifier": Field("string", unique=True, returned=False, input=False),
        "value": Field("text", returned=False, input=False),
        "expires_at": Field("datetime", index=True, input=False, expiry=True),
        **_TIMESTAMPS,
    },
    comment="Values that prove something once, such as links in mails",
)

CORE_MODELS: Final = (USER, SESSION, ACCOUNT, VERIFICATION)
