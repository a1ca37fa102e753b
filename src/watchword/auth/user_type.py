"""What the application's code gets for a user: `User`, a subclass, or what a mapper makes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Final, Union, cast, get_args, get_origin

import msgspec

from watchword.errors import ConfigurationError
from watchword.schema import FieldType, Schema
from watchword.storage.contract import Adapter, Record
from watchword.storage.entities import PublicUser, User

__all__ = ["users_of_records"]

_TYPES: Final[Mapping[FieldType, Any]] = MappingProxyType(
    {
        "string": str,
        "text": str,
        "uuid": str,
        "integer": int,
        "bigint": int,
        "boolean": bool,
        "datetime": datetime,
        "bytes": bytes,
    }
)


def users_of_records(
    adapter: Adapter[PublicUser], user_type: type[PublicUser] | None, schema: Schema
) -> Callable[[Record], PublicUser]:
    """Return what makes of a user's row what the application's code gets.

    Raises:
        ConfigurationError: The type is none for these users, or there is a mapper too.
    """
    mapper = adapter.capabilities.user_mapper
    if user_type is None:
        if mapper is None:
            # Nothing says anything else, so the application's users are ours.
            return cast("Callable[[Record], PublicUser]", User.from_record)
        return lambda record: mapper(User.from_record(record))
    if mapper is not None:
        raise ConfigurationError(
            "There are two kinds of users: user_type, and what the adapter's user_mapper makes.",
            hint="Give one of them.",
        )
    if not (isinstance(user_type, type) and issubclass(user_type, User)):
        raise ConfigurationError(
            f"{user_type!r} is no type of users.",
            hint="Subclass User: class AppUser(User, frozen=True, kw_only=True).",
        )
    _check_fields(user_type, schema)
    return cast("Callable[[Record], PublicUser]", user_type.from_record)


def _check_fields(user_type: type[User], schema: Schema) -> None:
    fields = schema.require_model("user").fields
    ours = _types_of(User)
    for field, declared in _types_of(user_type).items():
        name = f"{user_type.__name__}.{field}"
        if field == "extra" or ours.get(field) == declared:
            continue
        if field not in fields:
            raise ConfigurationError(
                f"Users have no field for {name}.",
                hint="Add it with UserOptions(additional_fields=…) or a plugin, by this name.",
            )
        # Ids are texts in Python, whatever they are in the database.
        kept = str if field == "id" else _TYPES.get(fields[field].type)
        _check_type(name, declared, kept, nullable=not fields[field].required)


def _types_of(user_type: type[User]) -> dict[str, Any]:
    try:
        return {it.name: it.type for it in msgspec.structs.fields(user_type)}
    except NameError as error:  # annotations that are texts are read by now
        raise ConfigurationError(
            f"The types of {user_type.__name__} cannot be read: {error}.",
            hint="Import what they name, or define it, at the top of its module.",
        ) from error


def _check_type(name: str, declared: Any, kept: Any, *, nullable: bool) -> None:
    """Refuse a type that would promise what a row does not keep."""
    choices = _choices(declared)
    if Any in choices or kept is None:
        return
    if kept not in choices:
        spelled = declared.__name__ if isinstance(declared, type) else declared
        raise ConfigurationError(
            f"{name} is declared as {spelled}, but the field holds {kept.__name__}.",
            hint="Declare it as what the field holds.",
        )
    if nullable and type(None) not in choices:
        raise ConfigurationError(
            f"{name} can be null, which its type does not say.",
            hint=f"Declare it as {kept.__name__} | None, or make the field required.",
        )


def _choices(declared: Any) -> Sequence[Any]:
    """Return the types of a union, or the one that is declared."""
    if get_origin(declared) is Annotated:
        return _choices(get_args(declared)[0])
    return get_args(declared) if get_origin(declared) in {Union, UnionType} else (declared,)
