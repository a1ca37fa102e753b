"""The document is valid, and says of the endpoints what is so, no less and no more."""

import json
import re

import jsonschema_rs
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig

from watchword import Field, SessionOptions, UserOptions
from watchword.errors import CoreError
from watchword.plugins.open_api import openapi_document

TEXT = {"type": "string"}
SHELF_FIELDS = ["books", "owner", "width", "note"]
# What Python's expressions have and ECMA-262's have not, or mean otherwise.
ONLY_PYTHON = re.compile(r"(?<!\\)(\\\\)*(\\[AZz]|\(\?P|\(\?[aiLmsux]+[):])")


def nullable(schema):
    """Return the schema of a value that may be missing."""
    return {"anyOf": [schema, {"type": "null"}]}


def patterns(schema):
    """Go through every pattern of a document."""
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for it in schema.values():
            yield from patterns(it)
    elif isinstance(schema, list):
        for it in schema:
            yield from patterns(it)


# --- as a whole -----------------------------------------------------------------------------


@pytest.mark.parametrize("ids", ["uuid", "string", "bigint"])
def test_the_document_is_valid(describe, ids):
    """By the schema of OpenAPI 3.1, and each schema in it by JSON Schema's."""
    document = describe(ids=ids).document

    schemathesis.openapi.from_dict(document, config=SchemathesisConfig()).validate()
    assert document["openapi"].startswith("3.1.")
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})


def test_what_is_referred_to_exists(described):
    """No client generator stumbles over a name without a schema."""
    text = json.dumps(described.document)

    for kind, name in re.findall(r'"#/components/(\w+)/([^"]+)"', text):
        assert name in described.document["components"][kind]


def test_exactly_the_routes_that_clients_may_call_are_described(described):
    """Neither those that are hidden nor those that Python alone calls, and no other missing."""
    told = {
        (method.upper(), path)
        for path, methods in described.document["paths"].items()
        for method in methods
    }

    routed = [it for it in described.auth.instance.endpoints if it.declaration.routed]
    shown = [it for it in routed if not it.declaration.hidden]
    assert told == {(it.method, re.sub(r":(\w+)", r"{\1}", it.path)) for it in shown}
    assert {("POST", "/sign-in/email"), ("GET", "/shelves/{shelf_id}")} < told
    assert not told & {("GET", "/shelves/secret"), ("POST", "/shelves/burn"), ("GET", "/error")}
    assert not told & {("GET", "/reference"), ("GET", "/open-api/generate-schema")}


def test_a_disabled_path_is_not_described(describe):
    """It answers 404, whatever is sent."""
    paths = describe(disabled_paths=["/sign-up/email/", "/ok"]).document["paths"]

    assert "/sign-in/email" in paths
    assert not paths.keys() & {"/sign-up/email", "/ok"}


def test_every_operation_has_a_name_of_its_own(described):
    """Clients make functions of them; `/she-lves` and `/she/lves` are two."""
    operations = [it for path in described.document["paths"].values() for it in path.values()]

    names = [it["operationId"] for it in operations]

    assert sorted(set(names)) == sorted(names)
    assert described.operation("POST /sign-in/email")["operationId"] == "postSignInEmail"
    assert {"getShelvesShelf_Id", "getSheLves", "getSheLves2"} < set(names)
    assert all(re.fullmatch(r"\w+", name) for name in names)


def test_the_server_is_where_browsers_reach_the_endpoints(describe):
    """Base URL and base path together."""
    document = describe(base_url="https://shop.example", base_path="/auth").document

    assert document["servers"] == [{"url": "https://shop.example/auth"}]


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        ("http://localhost:8000", "better-auth.session_token"),
        ("https://shop.example", "__Secure-better-auth.session_token"),
    ],
)
def test_the_cookie_has_its_full_name(describe, base_url, name):
    """Over HTTPS browsers know it by the prefix that keeps other sites from planting one."""
    schemes = describe(base_url=base_url).document["components"]["securitySchemes"]

    assert schemes == {"session": {"type": "apiKey", "in": "cookie", "name": name}}


def test_who_has_to_be_signed_in_is_told(described):
    """Only where an endpoint asks for it."""
    assert described.operation("GET /list-sessions")["security"] == [{"session": []}]
    assert described.operation("GET /shelves/{shelf_id}")["security"] == [{"session": []}]
    assert described.operation("POST /sign-in/email")["security"] == []


def test_the_codes_of_plugins_are_told_beside_the_core_s(described):
    """Whoever writes a client translates them all."""
    told = described.schema("Refusal")["properties"]["code"]["enum"]

    assert told == sorted({*CoreError.__members__, "SHELF_FULL"})


def test_no_pattern_needs_python(described):
    """JSON Schema's expressions are JavaScript's."""
    found = list(patterns(described.document))

    assert [it for it in found if ONLY_PYTHON.search(it)] == []
    assert described.schema("ShelfBody")["properties"]["label"]["pattern"] == r"^[a-z]+\\A?$"
    assert ONLY_PYTHON.search(r"\A[a-z]+\\A?\Z")


def test_the_document_is_served_as_it_is_made(run, described, new_browser):
    """Over HTTP and from Python alike, under the title of the settings."""
    answer = run(new_browser(described.auth).get("/open-api/generate-schema"))

    assert (answer.status, answer.json) == (200, described.document)
    titled = openapi_document(described.auth.instance, title="Shop")
    assert titled["info"] == {"title": "Shop", "version": "1"}


# --- what endpoints take --------------------------------------------------------------------


def test_only_some_bodies_may_be_forms(described):
    """A form is of the same shape."""
    media = {"application/json", "application/x-www-form-urlencoded"}

    assert described.operation("POST /shelves")["requestBody"]["content"].keys() == media
    assert described.operation("POST /sign-in/email")["requestBody"]["content"].keys() == media
    assert described.operation("POST /change-email")["requestBody"]["content"].keys() == {
        "application/json"
    }


def test_a_body_that_may_be_left_out_is_told(described):
    """Signing out needs none."""
    assert described.operation("POST /sign-out")["requestBody"]["required"] is False
    assert described.operation("POST /sign-in/email")["requestBody"]["required"] is True
    assert "requestBody" not in described.operation("GET /ok")


def test_fields_of_a_body_are_told(described):
    """By their wire names, with what an address has to look like and what is assumed."""
    shelf = described.body_of("POST /shelves")
    sign_in = described.body_of("POST /sign-in/email")

    email = {"type": "string", "format": "email", "maxLength": 254}
    assert shelf["required"] == ["label", "owners"]
    assert shelf["properties"]["owners"] == {"type": "array", "items": email}
    assert shelf["properties"]["keptUntil"] == TEXT
    assert sign_in["required"] == ["email", "password"]
    assert sign_in["properties"]["rememberMe"] == {"type": "boolean", "default": True}


def test_parameters_of_path_and_query_are_told(described):
    """With whether they have to be there; those of a path always."""
    look = described.operation("GET /shelves/{shelf_id}")["parameters"]
    verify = described.operation("GET /verify-email")["parameters"]

    assert look == [{"name": "shelf_id", "in": "path", "required": True, "schema": TEXT}]
    assert verify == [
        {"name": "token", "in": "query", "required": True, "schema": TEXT},
        {"name": "callbackURL", "in": "query", "required": False, "schema": TEXT},
    ]


# --- what they answer -----------------------------------------------------------------------


def test_what_is_always_there_is_told(described):
    """A default is ours: clients see the value."""
    shelf = described.answer_of("POST /shelves")["$ref"].rpartition("/")[2]

    assert list(described.schema(shelf)["properties"]) == SHELF_FIELDS
    assert described.schema(shelf)["required"] == ["books", "owner", "width"]
    assert described.schema(shelf)["properties"]["width"] == {"type": "integer"}


def test_answers_within_answers_are_told_alike(described):
    """Instants too, which are texts to clients."""
    book = described.schema("Book")

    assert book["required"] == ["title", "lentAt"]
    assert book["properties"]["lentAt"] == nullable({"type": "string", "format": "date-time"})


def test_two_plugins_may_give_one_name_to_two_answers(described):
    """Each is described as itself."""
    one = described.answer_of("POST /shelves")["$ref"].rpartition("/")[2]
    null, other = sorted(described.answer_of("GET /shelves/{shelf_id}")["anyOf"], key=len)[:2]

    [reference] = [it["$ref"] for it in (null, other) if "$ref" in it]
    another = reference.rpartition("/")[2]
    assert one != another
    assert list(described.schema(another)["properties"]) == ["height"]


def test_answers_without_a_name_are_told(described):
    """Lists and objects of whatever."""
    assert described.answer_of("GET /she-lves") == {"type": "array", "items": TEXT}
    assert described.answer_of("GET /she/lves") == {"type": "object"}


def test_redirects_are_told(described):
    """Beside an answer, or instead of one."""
    assert {"200", "302"} < described.operation("POST /shelves")["responses"].keys()
    assert "200" not in described.operation("GET /shelves/leave")["responses"]
    assert "302" not in described.operation("GET /ok")["responses"]
    location = described.operation("GET /shelves/leave")["responses"]["302"]["headers"]["Location"]
    assert location["required"] is True


def test_a_description_is_for_callers(described):
    """The sections about the Python function are left out."""
    build = described.operation("POST /shelves")

    assert build["summary"] == "Build a <b>shelf</b> & `sell` it."
    assert build["description"] == '<script>alert("boards")</script>'


# --- additional fields ----------------------------------------------------------------------

FIELDS = {
    "display_language": Field("string", required=False),
    "visits": Field("bigint", default=0),
    "reference": Field("uuid"),
    "plan": Field("string", default="free", input=False),
    "risk_score": Field("integer", required=False, returned=False),
}


@pytest.fixture
def extended(describe):
    """An instance with fields of its own on users, and one on sessions."""
    return describe(
        user=UserOptions(additional_fields=FIELDS),
        session=SessionOptions(additional_fields={"workspace": Field("json", required=False)}),
    )


def test_what_clients_may_set_is_in_the_bodies(extended):
    """A field that is required is so for new users alone."""
    sign_up, update = extended.body_of("POST /sign-up/email"), extended.schema("UpdateUserBody")

    settable = {
        "displayLanguage": nullable(TEXT),
        "visits": {"type": "integer", "format": "int64"},
        "reference": {"type": "string", "format": "uuid"},
        "riskScore": nullable({"type": "integer", "format": "int32"}),
    }
    own = {"name", "email", "password", "image", "callbackURL", "rememberMe"}
    assert sign_up["properties"].keys() == own | settable.keys()
    assert settable.items() <= sign_up["properties"].items()
    assert sign_up["required"] == ["name", "email", "password", "reference"]
    assert update["properties"].keys() == {"name", "image"} | settable.keys()
    assert update["required"] == []
    assert extended.body_of("POST /update-session")["properties"] == {"workspace": {}}


def test_what_clients_see_is_in_the_models(extended):
    """And always there, be it null."""
    user, session = extended.schema("User"), extended.schema("Session")

    assert {"displayLanguage", "visits", "reference", "plan"} < user["properties"].keys()
    assert "riskScore" not in user["properties"]
    assert user["required"] == list(user["properties"])
    assert user["properties"]["image"] == nullable(TEXT)
    assert session["properties"]["workspace"] == {}


@pytest.mark.parametrize("kept_in", ["memory"], indirect=True)
def test_ids_are_text_whatever_the_database_makes_of_them(describe):
    """An integer would lose its last digits in JavaScript."""
    described = describe(ids="bigint")

    assert described.schema("User")["properties"]["id"] == TEXT
    assert described.schema("Session")["properties"]["userId"] == TEXT


def test_the_document_is_made_without_asking_the_database(describe):
    """For a file that a build writes, where there is none."""
    described = describe(database="sqlite:////nowhere/auth.db")

    assert json.loads(json.dumps(described.document)) == described.document
