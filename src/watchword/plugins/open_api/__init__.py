"""The endpoints described by OpenAPI 3.1, as a document and as a page."""

from watchword.plugins.open_api.document import openapi_document
from watchword.plugins.open_api.plugin import OpenAPI

__all__ = ["OpenAPI", "openapi_document"]
