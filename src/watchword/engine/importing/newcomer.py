"""From what a line says to what is written: a user and their accounts, checked by the schema."""

from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from watchword.crypto.foreign_hashes import refusal_of_hash
from watchword.engine.accounts import CREDENTIAL
from watchword.engine.importing.outcome import LineRefused, Reason
from watchword.errors import InvalidValue
from watchword.http.emails import canonical_email, is_email
from watchword.schema import Field, Model, Schema, camel_case
from watchword.storage.values import accepted

__all__ = ["Entrance", "Newcomer"]

_PASSWORD: Final = "password"  # noqa: S105 - the name of a key
_ACCOUNTS: Final = "accounts"
# Said of accounts by the importer alone: whose they are, and which is whose.
_OURS: Final = frozenset({"id", "user_id"})
_LONGEST_NAME: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """A line that is understood.

    Args:
        line: Its number.
        user: What it says of the user, by logical names.
        password_hash: Of the credential account, if there is to be one.
        credential: What else it says of that account.
        accounts: Those of providers.
    """

    line: int
    user: Mapping[str, Any]
    password_hash: str | None
    credential: Mapping[str, Any]
    accounts: tuple[Mapping[str, Any], ...]

    @property
    def email(self) -> str:
        """The canonical address."""
        email: str = self.user["email"]
        return email

    @property
    def id(self) -> str | None:
        """The id, if the line gives one."""
        return None if "id" not in self.user else str(self.user["id"])

    @property
    def created_at(self) -> datetime | None:
        """Since when there is the user, if the line tells."""
        return self.user.get("created_at")

    @property
    def linked(self) -> tuple[tuple[str, str], ...]:
        """The accounts of providers, by what names them."""
        return tuple((it["provider_id"], it["account_id"]) for it in self.accounts)

    @property
    def keys(self) -> Iterator[tuple[str, ...]]:
        """What no two people share, as far as the line tells."""
        yield ("email", self.email)
        if self.id is not None:
            yield ("id", self.id)
        yield from (("account", *it) for it in self.linked)

    def account_rows(self, user_id: Any) -> Iterator[dict[str, Any]]:
        """Return the rows of the accounts of a user who was given this id."""
        if self.password_hash is not None:
            yield {
                **self.credential,
                "user_id": user_id,
                "account_id": str(user_id),
                "provider_id": CREDENTIAL,
                "password": self.password_hash,
            }
        for account in self.accounts:
            yield {**account, "user_id": user_id}


class Entrance:
    """Reads what lines say, by the schema: wire names, or logical ones."""

    def __init__(self, schema: Schema) -> None:
        self._user = schema.require_model("user")
        self._account = schema.require_model("account")
        self._user_names = _names(self._user)
        if self._user.key_name is not None:
            self._user_names |= {camel_case(self._user.key_name): "id", self._user.key_name: "id"}
        account_names = _names(self._account).items()
        self._account_names = {wire: it for wire, it in account_names if it not in _OURS}

    def newcomer(self, line: int, said: Mapping[str, Any]) -> Newcomer:
        """Return who a line tells of.

        Raises:
            LineRefused: Something in it cannot be written; nothing secret is in the sentence.
        """
        about_user = {key: it for key, it in said.items() if key not in {_PASSWORD, _ACCOUNTS}}
        user = _read(self._user, self._user_names, about_user)
        user["email"] = _address(user.get("email"))
        self._check_id(user)
        accounts = [self._read_account(it) for it in _listed(said.get(_ACCOUNTS))]
        credential = _credential(said.get(_PASSWORD), accounts)
        linked = tuple(it for it in accounts if it["provider_id"] != CREDENTIAL)
        if len({(it["provider_id"], it["account_id"]) for it in linked}) < len(linked):
            raise LineRefused(Reason.INVALID_VALUE, "accounts: one of them stands there twice.")
        return Newcomer(
            line=line,
            user=user,
            password_hash=_hash(credential.pop("password", None)),
            credential=credential,
            accounts=linked,
        )

    def _check_id(self, user: Mapping[str, Any]) -> None:
        """Refuse an id where the database makes them, and none where it is a name of people's."""
        if "id" in user and self._user.fields["id"].generated:
            # Not every database goes on counting after a number that was given to it.
            raise LineRefused(
                Reason.INVALID_VALUE, "id: the database makes the ids here; leave it out."
            )
        key = self._user.key_name
        if key is not None and not user.get("id"):
            raise LineRefused(Reason.INVALID_VALUE, f"{camel_case(key)}: is required.")

    def _read_account(self, said: Any) -> dict[str, Any]:
        if not isinstance(said, dict):
            raise LineRefused(Reason.INVALID_VALUE, "accounts: expected a list of objects.")
        account = _read(self._account, self._account_names, said, within="accounts.")
        if account.get("provider_id") == CREDENTIAL:
            account.pop("account_id", None)  # that of another system; here it is the user's id
            return account
        for name in ("provider_id", "account_id"):
            if not account.get(name):
                raise LineRefused(
                    Reason.INVALID_VALUE, f"accounts.{camel_case(name)}: is required."
                )
        if "password" in account:
            raise LineRefused(
                Reason.INVALID_VALUE, f"accounts.password: belongs to {CREDENTIAL} alone."
            )
        return account


# --- names and values --------------------------------------------------------------------


def _names(model: Model) -> dict[str, str]:
    """Return the logical name for each name that a line may use."""
    wire = {camel_case(name): name for name in model.fields}
    return {**{name: name for name in model.fields}, **wire}


def _read(
    model: Model, names: Mapping[str, str], said: Mapping[str, Any], *, within: str = ""
) -> dict[str, Any]:
    """Return values by logical names, each as its field takes it."""
    values: dict[str, Any] = {}
    for key, value in said.items():
        if not isinstance(key, str):
            raise LineRefused(Reason.INVALID_VALUE, f"{within or 'A line: '}a key is no text.")
        name = names.get(key)
        if name is None:
            raise LineRefused(
                Reason.UNKNOWN_FIELD,
                f"{within}{key[:_LONGEST_NAME]!r} is no field of {model.name}.",
            )
        if name in values:
            raise LineRefused(
                Reason.INVALID_VALUE, f"{within}{camel_case(name)}: stands there twice."
            )
        try:
            values[name] = _value(model, name, value)
        except LineRefused as refused:
            label = f"{within}{camel_case(name)}"
            raise LineRefused(refused.reason, f"{label}: {refused.sentence}") from None
    return values


def _value(model: Model, name: str, value: Any) -> Any:
    field = model.fields[name]
    try:
        return accepted(model.name, name, field, _from_json(field, value))
    except InvalidValue as error:
        raise LineRefused(Reason.INVALID_VALUE, f"{error.reason}.") from None
    except ValueError:
        raise LineRefused(Reason.INVALID_VALUE, f"{_EXPECTED[field.type]}.") from None


_EXPECTED: Final = {
    "datetime": "expected an instant such as 2026-05-17T12:00:00Z",
    "bytes": "expected Base64",
}


def _from_json(field: Field, value: Any) -> Any:
    """Return a value of a type that JSON has no values of."""
    if not isinstance(value, str):
        return value
    if field.type == "datetime":
        return datetime.fromisoformat(value)
    if field.type == "bytes":
        return b64decode(value, validate=True)
    return value


def _address(email: Any) -> str:
    if not isinstance(email, str) or not is_email(email):
        raise LineRefused(Reason.INVALID_EMAIL, "email: is missing, or no e-mail address.")
    return canonical_email(email)


def _listed(accounts: Any) -> list[Any]:
    if accounts is None:
        return []
    if not isinstance(accounts, list):
        raise LineRefused(Reason.INVALID_VALUE, "accounts: expected a list of objects.")
    return accounts


# --- passwords ---------------------------------------------------------------------------


def _credential(password: Any, accounts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the one credential account: of the key `password`, or as exports list it."""
    found = [it for it in accounts if it["provider_id"] == CREDENTIAL]
    if password is not None:
        found.append({"password": password})
    if len(found) > 1:
        raise LineRefused(Reason.INVALID_PASSWORD_HASH, "There is more than one password.")
    return {key: it for key, it in (found or [{}])[0].items() if key != "provider_id"}


def _hash(password: Any) -> str | None:
    """Return a password's hash, and never take the password itself.

    A password that was stored as it is would be readable to whoever reads the table.
    """
    if password is None:
        return None
    refusal = refusal_of_hash(password) if isinstance(password, str) else "is no text"
    if refusal is not None:
        raise LineRefused(Reason.INVALID_PASSWORD_HASH, f"password: the hash {refusal}.")
    return str(password)
