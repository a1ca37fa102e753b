"""What an endpoint works with: the request, the instance's parts, and the cookies to send."""

from dataclasses import dataclass, field
from typing import Final

from watchword.clock import Clock
from watchword.crypto.passwords import Passwords
from watchword.crypto.signing import sign, unsign
from watchword.engine.options import Options
from watchword.engine.output import Output
from watchword.engine.sessions import NewSession, Sessions
from watchword.http.cookies import CookieJar
from watchword.http.messages import Request
from watchword.storage.store import Store

__all__ = ["Context", "Instance"]

_SESSION_COOKIES: Final = ("session_token", "session_data", "dont_remember")


@dataclass(frozen=True, kw_only=True)
class Instance:
    """The parts of one Watchword, joined once and used by every request."""

    options: Options
    secrets: tuple[str, ...] = field(repr=False)
    store: Store
    sessions: Sessions
    passwords: Passwords
    output: Output
    cookies: CookieJar
    clock: Clock


@dataclass(frozen=True, slots=True)
class Context:
    """One request at one instance."""

    instance: Instance
    request: Request
    set_cookies: list[str] = field(default_factory=list)

    @property
    def options(self) -> Options:
        """The settings."""
        return self.instance.options

    @property
    def store(self) -> Store:
        """The rows."""
        return self.instance.store

    @property
    def sessions(self) -> Sessions:
        """The sessions."""
        return self.instance.sessions

    @property
    def passwords(self) -> Passwords:
        """Hashes and verifies passwords."""
        return self.instance.passwords

    @property
    def output(self) -> Output:
        """Turns rows into what clients see."""
        return self.instance.output

    # --- who is asking ---------------------------------------------------------------

    @property
    def ip_address(self) -> str:
        """The address of the client; empty if it is not known."""
        return (self.request.client_address or "")[:64]

    @property
    def user_agent(self) -> str:
        """What the client calls itself; empty if it does not, cut to a sane length."""
        return _storable(self.request.header("user-agent") or "")[:1024]

    @property
    def session_token(self) -> str | None:
        """The token of the session cookie, if its signature is ours."""
        return self._signed_cookie("session_token")

    @property
    def is_forgetful(self) -> bool:
        """Whether the client asked not to be remembered when it signed in."""
        return self._signed_cookie("dont_remember") == "true"

    def _signed_cookie(self, name: str) -> str | None:
        value = self.instance.cookies.find(self.request.cookies, name)
        return None if value is None else unsign(value, self.instance.secrets)

    # --- cookies to send -------------------------------------------------------------

    def remember(self, session: NewSession) -> None:
        """Hand a new session to the client; without remembering, until the browser closes."""
        self.send_session_token(session.token, lasting=session.remembered)
        if not session.remembered:
            self._set_signed("dont_remember", "true", max_age=None)
        elif self.instance.cookies.find(self.request.cookies, "dont_remember") is not None:
            self._clear("dont_remember")

    def send_session_token(self, token: str, *, lasting: bool) -> None:
        """Set the session cookie."""
        lifetime = int(self.options.session.expires_in.total_seconds())
        self._set_signed("session_token", token, max_age=lifetime if lasting else None)

    def forget_session(self) -> None:
        """Delete every cookie of the session, the parts of a divided one too."""
        jar = self.instance.cookies
        part = jar.name("session_data.")
        parts = [name[len(part) :] for name in self.request.cookies if name.startswith(part)]
        for name in _SESSION_COOKIES:
            self._clear(name)
            if name == "session_data":
                for number in filter(str.isascii, filter(str.isdecimal, parts)):
                    self._clear(f"{name}.{number}")

    def _set_signed(self, name: str, value: str, *, max_age: int | None) -> None:
        signed = sign(value, self.instance.secrets[0])
        self.set_cookies.append(self.instance.cookies.set(name, signed, max_age=max_age))

    def _clear(self, name: str) -> None:
        self.set_cookies.append(self.instance.cookies.clear(name))


def _storable(text: str) -> str:
    """Drop what no database keeps from a header's text."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
