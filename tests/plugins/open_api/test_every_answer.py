"""Thousands of requests made from the document: every answer is one that it describes."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final
from urllib.parse import unquote

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from watchword import (
    AccountOptions,
    BlockingWatchword,
    ChangeEmail,
    DeleteUser,
    EmailPassword,
    EmailVerification,
    Field,
    Identity,
    Mail,
    RateLimits,
    SessionOptions,
    UserOptions,
)
from watchword.adapters.memory import MemoryAdapter
from watchword.crypto.passwords import Passwords
from watchword.engine.mail import SendMail
from watchword.http.bodies import dump
from watchword.http.messages import Request, Response
from watchword.integrations.wsgi import WSGIHandler
from watchword.plugins.open_api import OpenAPI, openapi_document
from watchword.storage.query import F

# Left out, for what they hold against the wire rather than against the document:
# positive_data_acceptance (a well-formed password may be the wrong one), negative_data_rejection
# (unknown keys, and a query's repeated ones, are taken), unsupported_method and
# allow_header_conformance (another method is 404, without Allow), missing_required_header (no
# header is required), use_after_free, ensure_resource_availability and
# object_level_authorization (they follow REST resources by their links; there are none).
# ignored_auth would send a request again that has ended its session; `Visitor.ask` looks at
# what anonymous requests are answered instead.
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# No file beside a checkout decides what is sent, and no constant of our own sources: a test
# would send something else whenever one of them changes.
CONFIG: Final = {
    "analysis": {"constants": {"enabled": False}},
    "generation": {"with-security-parameters": False},
}
DOCUMENT: Final = "/api/auth/open-api/generate-schema"
ORIGIN: Final = "http://localhost:8000"
PASSWORD: Final = "difference-engine"
TYPES: Final = (
    *("string", "text", "integer", "bigint", "boolean", "datetime", "json", "uuid", "strings"),
)
FIELDS: Final = {
    **{f"some_{it}": Field(it, required=False) for it in TYPES},
    "handle": Field("string", required=False, unique=True),
    "friend_id": Field.reference("user", required=False),
    "plan": Field("string", default="free", input=False),
    "secret": Field("string", required=False, returned=False),
}


# What leads to each kind of token, by the path that takes it.
LINKS: Final = {
    "/verify-email": "/send-verification-email",
    "/reset-password": "/request-password-reset",
    "/reset-password/{token}": "/request-password-reset",
    "/delete-user": "/delete-user",
    "/delete-user/callback": "/delete-user",
}
FIXED: Final = {
    **dict.fromkeys(["password", "currentPassword", "newPassword"], PASSWORD),
    **dict.fromkeys(["callbackURL", "redirectTo"], "/next"),
}
FITTING: Final = (*FIXED, "email", "newEmail", "token", "accountId")


@dataclass(frozen=True)
class Manner:
    """How a request is sent: by whom, by what kind of client, and with what made to fit."""

    signed_in: bool
    verified: bool
    user_agent: str
    fitting: frozenset[str]


MANNERS: Final = st.builds(
    Manner,
    signed_in=st.booleans(),
    verified=st.booleans(),
    user_agent=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
    fitting=st.frozensets(st.sampled_from(FITTING)),
)


class Visitor:
    """Somebody at an instance of their own, whose session is made anew when an answer ended it."""

    def __init__(self) -> None:
        self._mails: list[Mail] = []
        self._auth = new_auth(self._mails.append)
        self._numbers = count()
        self._email = self._cookie = ""
        config = SchemathesisConfig.from_dict(CONFIG)
        app = WSGIHandler(self._auth)
        self.schema = schemathesis.openapi.from_wsgi(DOCUMENT, app, config=config)
        self.sent = 0
        self.statuses: set[int] = set()

    def ask(self, case: schemathesis.Case, manner: Manner) -> None:
        """Send a request, and look at its answer."""
        self._sign_in(verified=manner.verified)
        self._fit(case, manner.fitting)
        headers = {"User-Agent": manner.user_agent}
        name, _, value = self._cookie.partition("=")

        if manner.signed_in:
            response = case.call(headers={**headers, "Origin": ORIGIN}, cookies={name: value})
        else:
            response = case.call(headers=headers)

        self.sent += 1
        self.statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)
        if case.operation.definition.raw["security"] and not manner.signed_in:
            assert response.status_code >= 400

    def _sign_in(self, *, verified: bool) -> None:
        """Go on as who is signed in; as somebody new if nobody is."""
        if self._identity() is None:
            self._email = self._new_email()
            self._cookie = ""
            answer = self._post("/sign-up/email", name="Ada", email=self._email, password=PASSWORD)
            self._cookie = dict(answer.headers)["set-cookie"].partition(";")[0]
        known = {"email_verified": verified, "email": self._email}
        self._auth.store.update("user", F.id == self._identity().user.id, known)

    def _fit(self, case: schemathesis.Case, names: frozenset[str]) -> None:
        """Put what fits where something was made up; most made-up tokens are refused alike."""
        for place in (case.body, case.query, case.path_parameters):
            if isinstance(place, dict):
                place.update({it: self._fitting(it, case.path) for it in names & place.keys()})

    def _fitting(self, name: str, path: str) -> str:
        match name:
            case "email" if path != "/sign-up/email":
                return self._email
            case "email" | "newEmail":
                return self._new_email()
            case "accountId":
                theirs = F.user_id == self._identity().user.id
                account = self._auth.store.find_one("account", theirs)
                return "" if account is None else account["id"]
            case "token":
                return self._token(path)
        return FIXED[name]

    def _token(self, path: str) -> str:
        if path == "/revoke-session":
            return unquote(self._cookie.partition("=")[2]).rpartition(".")[0]
        self._post(LINKS[path], email=self._email)
        self._auth.drain()
        return self._mails[-1].token if self._mails else ""

    def _new_email(self) -> str:
        return f"ada{next(self._numbers)}@example.org"

    def _identity(self) -> Identity | None:
        headers = (("cookie", self._cookie),)
        return self._auth.identify(Request(method="GET", path="", headers=headers))

    def _post(self, path: str, **body: str) -> Response:
        headers = [("content-type", "application/json"), ("origin", ORIGIN)]
        return self._auth.handle(
            Request(
                method="POST",
                path=f"/api/auth{path}",
                headers=(*headers, ("cookie", self._cookie)),
                body=dump(body),
            )
        )


def new_auth(mail: SendMail) -> BlockingWatchword:
    """Make an instance with all that there is switched on."""
    return BlockingWatchword(
        MemoryAdapter(),
        secret="correct-horse-battery-staple-0123456789",
        base_url=ORIGIN,
        email_password=EmailPassword(),
        email_verification=EmailVerification(auto_sign_in=True),
        session=SessionOptions(defer_refresh=True, additional_fields=FIELDS),
        user=UserOptions(
            additional_fields=FIELDS,
            change_email=ChangeEmail(confirm_with_old_address=True),
            delete_user=DeleteUser(confirm_by_mail=True),
        ),
        account=AccountOptions(allow_unlinking_all=True),
        mail=mail,
        passwords=Passwords(memory_kib=8, iterations=1),
        rate_limits=RateLimits(enabled=False),
        plugins=[OpenAPI()],
    )


def operations() -> Iterator[tuple[str, GenerationMode]]:
    """Name every operation, twice where what it takes can be wrong."""
    document = openapi_document(new_auth(print).instance)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            label = f"{method.upper()} {path}"
            yield label, GenerationMode.POSITIVE
            if "parameters" in operation or "requestBody" in operation:
                yield label, GenerationMode.NEGATIVE


SOAKS: Final = "WATCHWORD_SOAK" in os.environ
OPERATIONS: Final = list(operations())
EXAMPLES: Final = 1200 if SOAKS else 48
THOROUGHLY: Final = settings(
    max_examples=EXAMPLES,
    derandomize=not SOAKS,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.mark.slow
@pytest.mark.parametrize(("label", "mode"), OPERATIONS)
def test_every_answer_is_described(label, mode):
    """Right and wrong requests, signed in or not: no 5xx, and no answer of another shape."""
    visitor = Visitor()
    operation = visitor.schema.find_operation_by_label(label)

    @THOROUGHLY
    @given(case=operation.as_strategy(mode), manner=MANNERS)
    def ask(case, manner):
        visitor.ask(case, manner)

    ask()
    assert visitor.sent >= EXAMPLES
    if mode is GenerationMode.POSITIVE:
        assert visitor.statuses & {200, 302}


def test_thousands_of_requests_are_sent():
    """Each operation sends its share, whichever process it is run in."""
    assert len(OPERATIONS) * EXAMPLES >= (50_000 if SOAKS else 2_000)
