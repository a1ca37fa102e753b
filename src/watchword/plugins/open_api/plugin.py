"""The plugin: where the document and the page are."""

from dataclasses import dataclass
from typing import Any

from watchword.engine.context import Context
from watchword.engine.endpoint import get
from watchword.engine.plugin import Plugin
from watchword.http.messages import Response
from watchword.plugins.open_api.document import openapi_document
from watchword.plugins.open_api.page import reference_page

__all__ = ["OpenAPI"]


@dataclass(frozen=True, kw_only=True)
class OpenAPI(Plugin):
    """Describes the endpoints, to generators of clients and to people.

    Args:
        title: What the document is called.
        reference: Serve a page to read at `/reference`.
    """

    id = "open-api"

    title: str = "Watchword"
    reference: bool = True

    @get("/open-api/generate-schema", hidden=True)
    async def schema(self, ctx: Context) -> dict[str, Any]:
        """Return the OpenAPI document."""
        return openapi_document(ctx.instance, title=self.title)

    @get("/reference", hidden=True)
    async def page(self, ctx: Context) -> Response:
        """Show the document as a page."""
        if not self.reference:
            return Response.empty(404)
        return Response.page(reference_page(openapi_document(ctx.instance, title=self.title)))
