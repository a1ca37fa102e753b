"""Hostile values in every field of every endpoint, on every database."""

from collections.abc import Iterator
from itertools import product
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from urllib.parse import quote, urlencode

import pytest
from msgspec.structs import fields

from watchword import ChangeEmail, DeleteUser, EmailVerification, SessionOptions, UserOptions
from watchword.adapters.memory import MemoryAdapter
from watchword.endpoints import CORE_ENDPOINTS
from watchword.engine.endpoint import Endpoint, collect
from watchword.http.bodies import OpenBody, UnsetType
from watchword.schema import Field
from watchword.storage.query import F

MODELS = ("user", "account", "session", "verification")
ADA, BOB = "ada@example.org", "bob@example.org"
PASSWORD, NEW = "difference-engine", "analytical-engine"

ROUTES = {
    f"{it.method} {it.path}": it
    for plugin in CORE_ENDPOINTS
    for it in collect(plugin, plugin.id)
    if it.declaration.routed
}
# What makes a request good; a text in braces stands for what is prepared.
GOOD: dict[str, dict[str, Any]] = {
    "POST /sign-up/email": {"name": "Eve", "email": "eve@example.org", "password": PASSWORD},
    "POST /sign-in/email": {"email": ADA, "password": PASSWORD},
    "POST /sign-out": {},
    "GET /get-session": {},
    "POST /get-session": {},
    "GET /list-sessions": {},
    "POST /revoke-session": {"token": "{handle}"},
    "POST /revoke-sessions": {},
    "POST /revoke-other-sessions": {},
    "POST /update-session": {"theme": "dark"},
    "POST /update-user": {"name": "Countess"},
    "POST /delete-user": {"token": "{delete-user}"},
    "GET /delete-user/callback": {"token": "{delete-user}"},
    "POST /change-email": {"newEmail": "lovelace@example.org"},
    "POST /send-verification-email": {"email": ADA},
    "GET /verify-email": {"token": "{verify-email}"},
    "POST /change-password": {"newPassword": NEW, "currentPassword": PASSWORD},
    "POST /verify-password": {"password": PASSWORD},
    "POST /request-password-reset": {"email": ADA},
    "GET /reset-password/:token": {"token": "{reset-password}", "callbackURL": "/"},
    "POST /reset-password": {"newPassword": NEW, "token": "{reset-password}"},
    "GET /list-accounts": {},
    "POST /unlink-account": {"accountId": "{account}"},
    "GET /ok": {},
    "GET /error": {"error": "INVALID_TOKEN"},
}
# What is no text alone. Said here and not read from the endpoints, which this is about.
FLAGS = {"rememberMe", "disableRedirect", "revokeOtherSessions"}
NULLABLE = {("POST /update-user", "image"), *((it, "nickname") for it in GOOD)}
NULLABLE |= {("POST /update-session", "theme")}
OTHER_TYPES = [0, 1, True, 1.5, 10**30, None, [], ["a"], {}, {"$ne": None}, {"$gt": ""}]
# What some comparison, regular expression, encoding or column takes for something else.
STRANGE = [
    *(
        "\uff11\uff12\uff13\uff14\uff15\uff16",
        "é",
        "jos\xe9@example.org",
        f"{ADA}\n",
        f"{ADA}\r\nBcc: eve@example.org",
    ),
    *("%", "_", "*", "' OR '1'='1", "\\", "\ud800", "\U0001f600", "x" * 5_000, "\x1b\x7f", "0"),
]


def fields_of(struct: Any) -> dict[str, set[Any]]:
    """Tell the fields of a body or query by wire name, each with its types."""
    if struct is None:
        return {}
    [made] = [it for it in _members(struct) if hasattr(it, "__struct_fields__")]
    named = {it.encode_name: set(_members(it.type)) for it in fields(made)}
    if issubclass(made, OpenBody):
        del named["additionalFields"]
        named[{"user": "nickname", "session": "theme"}[made.model]] = {str, type(None)}
    return named


def _members(hint: Any) -> list[Any]:
    if get_origin(hint) is Annotated:
        return _members(get_args(hint)[0])
    if get_origin(hint) in {Union, UnionType}:
        return [it for member in get_args(hint) for it in _members(member)]
    return [hint]


def wrong_types(route: str) -> Iterator[tuple[str, Any]]:
    """Tell the fields of a route's body, each with every value of a type that it does not take."""
    for name, value in product(fields_of(ROUTES[route].body), OTHER_TYPES):
        is_flag = name in FLAGS and value is True
        if not is_flag and not (value is None and (route, name) in NULLABLE):
            yield name, value


def requests_with_nul(route: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Put a NUL in each text, of the body and of the query."""
    for name, types in fields_of(ROUTES[route].body).items():
        if str in types:
            yield {name: "ada\0@example.org"}, {}
    yield from (({}, {name: "a\0b"}) for name in fields_of(ROUTES[route].query))


def strange_requests(route: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Put each strange text in each field of a route, and two in each of its query."""
    endpoint = ROUTES[route]
    texts = [name for name, types in fields_of(endpoint.body).items() if str in types]
    yield from (({name: it}, {}) for name, it in product(texts, STRANGE))
    names = [*fields_of(endpoint.query), *endpoint.parameters]
    yield from (({}, {name: it}) for name, it in product(names, (*STRANGE, "\0", "", "%00")))
    yield from (({}, {name: ["a", "b"]}) for name in fields_of(endpoint.query))


async def rows_of(auth, email: str | None = None) -> dict[str, list[Any]]:
    """Read every row, or all of one user."""
    if email is None:
        return {model: await auth.store.find_many(model) for model in MODELS}
    user = await auth.store.find_one("user", F.email == email)
    theirs = {it: await auth.store.find_many(it, F.user_id == user["id"]) for it in MODELS[1:3]}
    return {"user": [user], **theirs}


def test_every_route_is_attacked():
    """A new one needs a good request here, and is then attacked in each of its fields."""
    assert set(GOOD) == set(ROUTES)


def test_fields_are_found_with_their_types():
    """By wire names: what has another name would be ignored, and attack nothing."""
    found = fields_of(ROUTES["POST /sign-in/email"].body)

    assert {name: it - {UnsetType} for name, it in found.items()} == {
        **{name: {str} for name in ("email", "password", "callbackURL")},
        "rememberMe": {bool},
    }


class HostileInput:
    """What every database has to withstand."""

    @pytest.fixture
    def database(self) -> str:
        """Return the URL of a database, with its blocking driver."""
        raise NotImplementedError

    @pytest.fixture
    def outbox(self) -> list:
        """The mail that was sent."""
        return []

    @pytest.fixture
    def settings(self, outbox) -> dict[str, Any]:
        """Everything is switched on."""
        nickname, theme = (Field("string", required=False) for _ in range(2))
        return {
            "mail": outbox.append,
            "email_verification": EmailVerification(auto_sign_in=True),
            "user": UserOptions(
                change_email=ChangeEmail(),
                delete_user=DeleteUser(confirm_by_mail=True),
                additional_fields={"nickname": nickname},
            ),
            "session": SessionOptions(additional_fields={"theme": theme}, defer_refresh=True),
        }

    @pytest.fixture
    def auth(self, sql_auth, database, settings, run):
        """An instance without rows."""
        auth = sql_auth(database, **settings)
        run(auth.store.delete_many("verification", None))
        return auth

    @pytest.fixture
    def ada(self, auth, new_browser, run):
        """Ada's browser; Bob is somebody whom none of this concerns."""
        run(new_browser(auth).sign_up(name="Bob", email=BOB))
        browser = new_browser(auth)
        run(browser.sign_up())
        return browser

    @pytest.fixture
    def prepared(self, auth, ada, outbox, run) -> dict[str, str]:
        """What the texts in braces stand for."""
        run(ada.post("/send-verification-email", {"email": ADA}))
        run(ada.post("/request-password-reset", {"email": ADA}))
        run(ada.post("/delete-user", {}))
        user = run(auth.store.find_one("user", F.email == ADA))
        linked = {"user_id": user["id"], "provider_id": "github", "account_id": "1"}
        account = run(auth.store.create("account", linked))
        session = run(auth.store.find_one("session", F.user_id == user["id"]))
        made = {"handle": str(session["id"]), "account": str(account["id"])}
        return made | {mail.purpose: mail.token for mail in outbox}

    @pytest.fixture
    def restore(self, auth, ada, prepared, run):
        """Put back what was prepared: rows as they were, and Ada signed in."""
        rows, cookies = run(rows_of(auth)), dict(ada.cookies)

        async def restore():
            if await rows_of(auth) != rows:
                for model in reversed(MODELS):
                    await auth.adapter.delete_many(model, None)
                for model in MODELS:
                    await auth.adapter.create_many(model, rows[model])
                assert await rows_of(auth) == rows
            ada.cookies = dict(cookies)

        return restore

    @pytest.fixture
    def attack(self, ada, prepared):
        """Send a good request with other values in it."""

        async def attack(route: str, body: dict[str, Any], query: dict[str, Any]):
            endpoint: Endpoint = ROUTES[route]
            good = {
                key: it.format_map(prepared) if isinstance(it, str) else it
                for key, it in GOOD[route].items()
            }
            path = endpoint.path
            for name in endpoint.parameters:
                path = path.replace(f":{name}", {**good, **query}[name])
            read = endpoint.method == "GET"
            values = {**good, **query} if read else query
            encoded = urlencode(values, doseq=True, quote_via=quote, errors="surrogatepass")
            sent = None if read or endpoint.body is None else {**good, **body}
            return await ada.send(endpoint.method, path, body=sent, query=encoded)

        return attack

    async def test_attack_values_of_another_type(self, auth, attack):
        """A number, a list or an operator is refused wherever it stands, and changes nothing."""
        before = await rows_of(auth)

        for route in ROUTES:
            for name, value in wrong_types(route):
                answer = await attack(route, {name: value}, {})

                assert answer.status == 400, (route, name, value, answer.body)
                assert answer.set_cookies == [], (route, name, value)
            assert await rows_of(auth) == before, route

    async def test_attack_nul(self, auth, attack):
        """A character that one database cannot keep is refused for all, and changes nothing."""
        before = await rows_of(auth)

        for route in ROUTES:
            for body, query in requests_with_nul(route):
                answer = await attack(route, body, query)

                assert answer.status in {400, 403}, (route, body, query, answer.body)
            assert await rows_of(auth) == before, route

    async def test_attack_strange_texts(self, auth, attack, restore):
        """None is a failure of ours, none is answered with SQL, and none concerns Bob."""
        before = await rows_of(auth, BOB)

        for route in ROUTES:
            await restore()
            for body, query in strange_requests(route):
                answer = await attack(route, body, query)

                assert answer.status < 500, (route, body, query)
                assert b"SELECT" not in answer.body, (route, body, query)
            assert await rows_of(auth, BOB) == before, route

    async def test_attack_addresses_that_a_collation_takes_for_another(self, auth, new_browser):
        """Accents, width and padding make another address, or none; never Ada's."""
        await new_browser(auth).sign_up(email="jose@example.org")
        before = await rows_of(auth)

        for email in (
            *("jos\xe9@example.org", "jose\u0301@example.org", "jose@example.org "),
            *("\uff4aose@example.org", "jose@exampl\u0435.org", "jose@example.org\n"),
        ):
            signed_in = await new_browser(auth).sign_in(email=email)
            signed_up = await new_browser(auth).sign_up(email=email)

            assert (signed_in.status, signed_up.status) == (400, 400), email
        assert await rows_of(auth) == before

    async def test_attack_tokens_in_another_case(self, auth, ada, prepared, new_browser):
        """A collation that knows no case would let a tenth of the guesses do."""
        for name in ("verify-email", "reset-password", "delete-user"):
            token = prepared[name].swapcase()
            answers = [
                await ada.get("/verify-email", query=f"token={token}"),
                await ada.get("/delete-user/callback", query=f"token={token}"),
                await ada.post("/reset-password", {"newPassword": NEW, "token": token}),
                await ada.post("/delete-user", {"token": token}),
            ]

            assert {it.refusal[1] for it in answers} == {"INVALID_TOKEN"}
        assert (await new_browser(auth).sign_in()).status == 200

    @pytest.mark.parametrize("length", [1_200, 60_000])
    async def test_attack_long_headers(self, auth, new_browser, length):
        """A browser that says much of itself signs up and in; so does one behind many proxies."""
        headers = {
            "user-agent": "Mozilla/5.0 \U0001f600" + "x" * length,
            "x-forwarded-for": ", ".join(["2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"] * 50),
        }
        browser = new_browser(auth, address="2001:db8:ffff:ffff:ffff:ffff:255.255.255.255%eth0")

        answers = [
            await browser.post(path, {"name": "Eve", "email": ADA, "password": PASSWORD}, **given)
            for path in ("/sign-up/email", "/sign-in/email")
            for given in [{"headers": headers}]
        ]

        assert [it.status for it in answers] == [200, 200]
        kept = (await browser.session()).json["session"]["userAgent"]
        assert headers["user-agent"].startswith(kept)
        assert len(kept) >= 1_000

    async def test_attack_ids_of_others(self, auth, ada, new_browser):
        """Who names the row of somebody else, whatever ids are, ends and unlinks nothing."""
        before = await rows_of(auth, BOB)

        for session in before["session"]:
            await ada.post("/revoke-session", {"token": str(session["id"])})
        for account in before["account"]:
            await ada.post("/unlink-account", {"accountId": str(account["id"])})

        assert await rows_of(auth, BOB) == before


class TestMemory(HostileInput):
    """The adapter in memory."""

    @pytest.fixture
    def auth(self, new_auth, settings):
        """An instance without rows."""
        return new_auth(MemoryAdapter(), **settings)

    async def test_what_is_attacked_works(self, attack, restore):
        """Without the hostile value a request is good: what is refused is the value."""
        for route in ROUTES:
            await restore()
            answer = await attack(route, {}, {})

            assert answer.status in {200, 302}, (route, answer.body)
            assert "error=" not in (answer.header("location") or ""), route


class TestSQLite(HostileInput):
    """SQLite."""

    @pytest.fixture
    def database(self, sqlite_database):
        """Return a file."""
        return sqlite_database


class TestPostgreSQL(HostileInput):
    """PostgreSQL."""

    @pytest.fixture
    def database(self, postgresql_database):
        """Return a database of this module."""
        return postgresql_database


class TestMariaDB(HostileInput):
    """MariaDB, or MySQL."""

    @pytest.fixture
    def database(self, mysql_database):
        """Return a database of this module."""
        return mysql_database


class TestMongoDB(HostileInput):
    """MongoDB."""

    @pytest.fixture
    def database(self, mongodb_place):
        """Return a database of this test."""
        return mongodb_place
