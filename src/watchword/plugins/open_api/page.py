"""The OpenAPI document as a page to read: plain HTML, that loads nothing and runs nothing."""

import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any, Final

__all__ = ["reference_page"]

_STYLE: Final = """
:root{color-scheme:light dark}
body{font:1rem/1.55 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
overflow-wrap:anywhere}
h1{line-height:1.2} h2{font-size:1.15rem;margin-bottom:.3rem} h3{font-size:1rem;margin:1rem 0 0}
nav ul{columns:18rem;padding:0;list-style:none}
section{border-top:1px solid #8888;margin-top:1.5rem}
p{margin:.4rem 0} code{font-family:ui-monospace,monospace;font-size:.95em}
.method{font-weight:700;display:inline-block;min-width:3.4rem}
.note{font-weight:400;font-size:.9rem;border:1px solid #8888;border-radius:.3rem;padding:0 .4rem}
table{border-collapse:collapse;width:100%;table-layout:fixed}
td,th{text-align:left;font-weight:400;padding:.15rem .8rem .15rem 0;vertical-align:top}
th{width:40%} tr{border-top:1px solid #8883} td:last-child{width:4.4rem;padding-right:0}
"""
_CODE: Final = re.compile("`([^`]+)`")
_PARAGRAPH: Final = re.compile(r"\n\s*\n")


def reference_page(document: dict[str, Any]) -> str:
    """Return the page of a document that `openapi_document` made."""
    title = escape(document["info"]["title"])
    operations = list(_operations(document))
    return "".join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{title}</title><style>{_STYLE}</style>",
            f"<h1>{title}</h1><p>Base URL <code>{escape(document['servers'][0]['url'])}</code>",
            ' · <a href="open-api/generate-schema">OpenAPI document</a></p>',
            f'<nav aria-label="Endpoints"><ul>{"".join(map(_link, operations))}</ul></nav><main>',
            *(_section(it, document) for it in operations),
            *(_model(name, document) for name in sorted(_types_named(document))),
            _codes(document),
            "</main></html>",
        ]
    )


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield {**operation, "path": path, "method": method.upper()}


def _link(it: dict[str, Any]) -> str:
    return (
        f'<li><span class="method">{it["method"]}</span> '
        f'<a href="#{escape(it["operationId"])}"><code>{escape(it["path"])}</code></a></li>'
    )


def _section(it: dict[str, Any], document: dict[str, Any]) -> str:
    session = ' <span class="note">needs a session</span>' if it["security"] else ""
    title = f"<code>{it['method']} {escape(it['path'])}</code>{session}"
    parts = [
        f'<section id="{escape(it["operationId"])}"><h2>{title}</h2>',
        *_paragraphs(it.get("summary", "")),
        *_paragraphs(it.get("description", "")),
        _parameters(it.get("parameters", [])),
        _body(it.get("requestBody"), document),
        _answer(it["responses"], document),
        "</section>",
    ]
    return "".join(parts)


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in filter(None, _PARAGRAPH.split(text)):
        told = _CODE.sub(r"<code>\1</code>", escape(paragraph))
        yield f"<p>{told}</p>"


def _parameters(parameters: Iterable[dict[str, Any]]) -> str:
    rows = [
        (it["name"], f"{_type(it['schema'])}, in the {it['in']}", _need(present=it["required"]))
        for it in parameters
    ]
    return _table("Parameters", rows)


def _body(body: dict[str, Any] | None, document: dict[str, Any]) -> str:
    if body is None:
        return ""
    kinds = " or ".join("JSON" if "json" in it else "a form" for it in body["content"])
    title = f"Body: {kinds}{'' if body['required'] else ', optional'}"
    return _fields(title, body["content"]["application/json"]["schema"], document)


def _answer(responses: dict[str, Any], document: dict[str, Any]) -> str:
    redirects = "302" in responses
    if "200" not in responses:
        return "<p>Answers with a redirect.</p>" if redirects else ""
    schema = responses["200"]["content"]["application/json"]["schema"]
    return "".join(
        _fields("Or" if number else "Answer", it, document)
        for number, it in enumerate(schema.get("anyOf", [schema]))
    ) + ("<p>Or a redirect.</p>" if redirects else "")


def _fields(title: str, schema: dict[str, Any], document: dict[str, Any]) -> str:
    resolved = _resolved(schema, document)
    properties = resolved.get("properties")
    if not properties:
        return f"<h3>{title}</h3><p>{_type(resolved)}</p>"
    required = resolved.get("required", [])
    rows = [(name, _type(it), _need(present=name in required)) for name, it in properties.items()]
    return _table(title, rows)


def _need(*, present: bool) -> str:
    return "" if present else "optional"


def _resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = document["components"]["schemas"][_name(schema)]
    return found


def _name(schema: dict[str, Any]) -> str:
    return str(schema["$ref"].rpartition("/")[2])


def _type(schema: dict[str, Any]) -> str:
    """Return a type in words: `string (date-time) or null`, `list of Session`."""
    if "$ref" in schema:
        name = escape(_name(schema))
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(it) for it in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    kind, form = schema.get("type", "any"), schema.get("format")
    return escape(f"{kind} ({form})" if form else str(kind))


def _types_named(document: dict[str, Any]) -> set[str]:
    """Return the components that the page names without showing what they are made of."""
    schemas = document["components"]["schemas"]
    found = {name for it in schemas.values() for name in _references(it)}
    answers = (it["responses"].get("200", {}) for it in _operations(document))
    lists = (it for answer in answers for it in _within(answer, "items"))
    return found.union(*map(_references, lists))


def _references(schema: Any) -> set[str]:
    return {it.rpartition("/")[2] for it in _within(schema, "$ref")}


def _within(schema: Any, key: str) -> Iterator[Any]:
    """Go through the values of a key, however deep they stand."""
    inner = schema.values() if isinstance(schema, dict) else schema
    if isinstance(schema, dict) and key in schema:
        yield schema[key]
    if isinstance(schema, dict | list):
        for it in inner:
            yield from _within(it, key)


def _model(name: str, document: dict[str, Any]) -> str:
    schema = document["components"]["schemas"][name]
    return (
        f'<section id="{escape(name)}"><h2>{escape(name)}</h2>'
        f"{''.join(_paragraphs(schema.get('description', '')))}"
        f"{_fields('Fields', schema, document)}</section>"
    )


def _codes(document: dict[str, Any]) -> str:
    codes = document["components"]["schemas"]["Refusal"]["properties"]["code"]["enum"]
    listed = ", ".join(f"<code>{escape(code)}</code>" for code in codes)
    return f"<section><h2>Codes of refusals</h2><p>{listed}</p></section>"


def _table(title: str, rows: list[tuple[str, str, str]]) -> str:
    """Return rows of a name, which is escaped here, a type in HTML and a word of ours."""
    if not rows:
        return ""
    cells = "".join(
        f'<tr><th scope="row"><code>{escape(name)}</code></th><td>{kind}</td><td>{need}</td></tr>'
        for name, kind, need in rows
    )
    return f"<h3>{title}</h3><table>{cells}</table>"
