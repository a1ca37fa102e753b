"""What the tests of the document and of its page share: a plugin with all that can be told."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import pytest
from msgspec import Meta

from watchword import Identity, Plugin, User
from watchword.engine.context import Context
from watchword.engine.endpoint import get, post, server_only
from watchword.errors import ErrorCode
from watchword.http.bodies import UNSET, Answer, Body, UnsetType
from watchword.http.emails import Email
from watchword.http.messages import Response
from watchword.plugins.open_api import OpenAPI, openapi_document


class ShelfError(ErrorCode):
    """Refusals of shelves."""

    SHELF_FULL = 409, "There is no room"


class ShelfBody(Body, frozen=True):
    """A shelf."""

    label: Annotated[str, Meta(pattern=r"\A[a-z]+\\A?\Z")]
    owners: list[Email]
    kept_until: str | UnsetType = UNSET


class Book(Answer, frozen=True):
    """What stands there."""

    title: str
    lent_at: datetime | None = None


class Shelf(Answer, frozen=True):
    """A shelf with `books`."""

    books: list[Book]
    owner: User
    width: int = 80
    note: str | UnsetType = UNSET


def namesake() -> type[Answer]:
    """Return another struct of the same name, as another plugin may have."""

    class Shelf(Answer, frozen=True):
        height: int = 1

    return Shelf


OtherShelf = namesake()


@dataclass(frozen=True, kw_only=True)
class Shelves(Plugin):
    """Has an endpoint of each kind."""

    id = "shelves"
    errors = ShelfError

    @post("/shelves", form=True)
    async def build(self, ctx: Context, body: ShelfBody) -> Shelf | Response:
        """Build a <b>shelf</b> & `sell` it.

        <script>alert("boards")</script>

        Raises:
            APIError: There is no room.
        """
        raise NotImplementedError

    @get("/shelves/:shelf_id")
    async def look(self, ctx: Context, shelf_id: str, identity: Identity) -> OtherShelf | None:  # type: ignore[valid-type]
        """Look at a shelf."""
        raise NotImplementedError

    @get("/she-lves")
    async def titles(self, ctx: Context) -> list[str]:
        """List titles."""
        raise NotImplementedError

    @get("/she/lves")
    async def books(self, ctx: Context) -> dict[str, Any]:
        """Tell anything."""
        raise NotImplementedError

    @get("/shelves/leave")
    async def leave(self, ctx: Context) -> Response:
        """Go elsewhere."""
        raise NotImplementedError

    @get("/shelves/secret", hidden=True)
    async def secret(self, ctx: Context) -> None:
        """Stay untold."""
        raise NotImplementedError

    @server_only("/shelves/burn")
    async def burn(self, ctx: Context) -> None:
        """Stay in Python."""
        raise NotImplementedError


@dataclass
class Described:
    """An instance with both plugins, and what is told of it."""

    auth: Any
    document: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.document = openapi_document(self.auth.instance)

    def operation(self, route: str) -> dict[str, Any]:
        """Return what is told of `POST /path`."""
        method, path = route.split()
        return self.document["paths"][path][method.lower()]

    def schema(self, name: str) -> dict[str, Any]:
        """Return a component."""
        return self.document["components"]["schemas"][name]

    def body_of(self, route: str, media: str = "application/json") -> dict[str, Any]:
        """Return the schema of a body."""
        schema = self.operation(route)["requestBody"]["content"][media]["schema"]
        return self.schema(schema["$ref"].rpartition("/")[2])

    def answer_of(self, route: str) -> dict[str, Any]:
        """Return the schema of an answer as it stands there."""
        return self.operation(route)["responses"]["200"]["content"]["application/json"]["schema"]


@pytest.fixture
def describe(new_auth):
    """Make an instance with the plugins and some settings, and describe it."""

    def describe(**settings: Any) -> Described:
        return Described(new_auth(plugins=[Shelves(), OpenAPI()], **settings))

    return describe


@pytest.fixture
def described(describe):
    """An instance with usual settings."""
    return describe()
