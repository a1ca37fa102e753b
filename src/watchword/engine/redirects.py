"""Where a browser is sent: targets that were checked, with what the page there has to know."""

from urllib.parse import quote, urlencode

from watchword.http.messages import Response

__all__ = ["redirect", "with_query"]


def with_query(url: str, **parameters: str) -> str:
    """Add parameters behind those that an URL has, and before its fragment."""
    # By hand: the standard library takes the slashes of "myapp://" away.
    target, mark, fragment = url.partition("#")
    joint = "?" if "?" not in target else "" if target.endswith(("?", "&")) else "&"
    return f"{target}{joint}{urlencode(parameters, quote_via=quote)}{mark}{fragment}"


def redirect(url: str, **parameters: str) -> Response:
    """Send the browser to a target, which was checked before."""
    return Response.redirect(with_query(url, **parameters) if parameters else url)
