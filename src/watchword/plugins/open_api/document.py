"""The OpenAPI document, made from what the endpoints declare."""

import re
from collections.abc import Iterable, Iterator
from inspect import getdoc
from itertools import chain, count
from typing import Any, Final

import msgspec

from watchword.engine.context import Instance
from watchword.engine.endpoint import PARAMETER, Endpoint
from watchword.http.bodies import UnsetType
from watchword.http.messages import Response
from watchword.plugins.open_api.schemas import Schemas, members

__all__ = ["openapi_document"]

_VERSION: Final = "3.1.1"
_SEPARATORS: Final = str.maketrans("", "", "/-:")
# The sections of a docstring that are about the function, not about the endpoint.
_FOR_PROGRAMMERS: Final = re.compile(r"^(?:Args|Returns|Raises):$", re.MULTILINE)
_TEXT: Final = {"type": "string"}


def openapi_document(instance: Instance, *, title: str = "Watchword") -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of an instance: every route that clients may call.

    Args:
        instance: `auth.instance`; for clients that are made from a file, write
            `json.dumps(openapi_document(auth.instance))` to it.
        title: What the document is called.
    """
    shown = list(_shown(instance))
    schemas = Schemas(instance, (kind for it in shown for kind in (*_taken(it), *_answers(it))))
    cookie = {"type": "apiKey", "in": "cookie", "name": instance.cookies.name("session_token")}
    return {
        "openapi": _VERSION,
        "info": {"title": title, "version": "1"},
        "servers": [{"url": instance.options.url}],
        "tags": [{"name": it} for it in dict.fromkeys(it.owner for it in shown)],
        "paths": _paths(shown, schemas),
        "components": {
            "schemas": schemas.components,
            "responses": _refusals(schemas.refusal),
            "securitySchemes": {"session": cookie},
        },
    }


def _shown(instance: Instance) -> Iterator[Endpoint]:
    """Go through what has a route that is neither hidden nor disabled."""
    disabled = {path.rstrip("/") for path in instance.options.disabled_paths}
    for it in instance.endpoints:
        if it.declaration.routed and not it.declaration.hidden and it.path not in disabled:
            yield it


def _taken(endpoint: Endpoint) -> list[Any]:
    """Return what the body may be; nothing at all is none of it."""
    return [it for it in members(endpoint.body) if it is not UnsetType]


def _answers(endpoint: Endpoint) -> list[Any]:
    """Return what it answers with; a redirect is none of it."""
    return [it for it in members(endpoint.returns) if it is not Response]


# --- paths -------------------------------------------------------------------------------


def _paths(endpoints: Iterable[Endpoint], schemas: Schemas) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    taken: set[str] = set()
    for it in endpoints:
        path = PARAMETER.sub(r"{\1}", it.path)
        operation = {"operationId": _new_id(it, taken), **_operation(it, schemas)}
        paths.setdefault(path, {})[it.method.lower()] = operation
    return paths


def _new_id(endpoint: Endpoint, taken: set[str]) -> str:
    """Return a name for functions of clients: `postSignInEmail`; `/sign/in-email` has a number."""
    plain = endpoint.method.lower() + endpoint.path.title().translate(_SEPARATORS)
    numbered = (f"{plain}{number}" for number in count(2))
    name = next(it for it in chain([plain], numbered) if it not in taken)
    taken.add(name)
    return name


def _operation(endpoint: Endpoint, schemas: Schemas) -> dict[str, Any]:
    told = _FOR_PROGRAMMERS.split(getdoc(endpoint.function) or "")[0]
    summary, _, description = told.partition("\n")
    operation: dict[str, Any] = {
        "tags": [endpoint.owner],
        "summary": summary,
        "description": description.strip(),
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint)],
        "requestBody": _request_body(endpoint, schemas),
        "security": [{"session": []}] if endpoint.needs_session else [],
        "responses": _responses(endpoint, schemas),
    }
    return {key: it for key, it in operation.items() if it or key == "security"}


def _path_parameters(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    for name in endpoint.parameters:
        yield {"name": name, "in": "path", "required": True, "schema": _TEXT}


def _query_parameters(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    if endpoint.query is None:
        return
    for field in msgspec.structs.fields(endpoint.query):
        # A repeated key is a list to us; who reads the document sends one value.
        yield {
            "name": field.encode_name,
            "in": "query",
            "required": field.required,
            "schema": _TEXT,
        }


def _request_body(endpoint: Endpoint, schemas: Schemas) -> dict[str, Any] | None:
    if endpoint.body is None:
        return None
    media = {"schema": schemas.of(*_taken(endpoint))}
    content = {"application/json": media}
    if endpoint.declaration.form:
        content["application/x-www-form-urlencoded"] = media
    return {"required": UnsetType not in members(endpoint.body), "content": content}


def _responses(endpoint: Endpoint, schemas: Schemas) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    if answers := _answers(endpoint):
        responses["200"] = {
            "description": "Done.",
            "content": {"application/json": {"schema": schemas.of(*answers)}},
        }
    if Response in members(endpoint.returns):
        location = {"description": "Where to go on.", "required": True, "schema": _TEXT}
        responses["302"] = {
            "description": "The browser goes on elsewhere; `error` in the query is a code.",
            "headers": {"Location": location},
        }
    shared = {"404": "NotFound", "429": "TooMany", "4XX": "Refused", "503": "Busy"}
    return responses | {
        status: {"$ref": f"#/components/responses/{name}"} for status, name in shared.items()
    }


def _refusals(schema: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    seconds = {
        "description": "Seconds to wait.",
        "required": True,
        "schema": {"type": "integer"},
    }
    return {
        "NotFound": {"description": "There is no such thing, or it is switched off."},
        "Refused": {"description": "Refused; the code says why.", "content": content},
        "TooMany": {
            "description": "Too many requests from this client.",
            "headers": {"Retry-After": seconds, "X-Retry-After": seconds},
            "content": content,
        },
        "Busy": {
            "description": "The server, or its database, is busy.",
            "headers": {"Retry-After": seconds},
            "content": content,
        },
    }
