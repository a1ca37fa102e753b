"""What was said to the published server is said to Watchword, and answered alike.

`client/record.mjs` makes the recordings. Where Watchword goes its own way on purpose, the
exchange is in `deviations.toml`, with the reason and with what it answers instead.
"""

import json
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pytest

from watchword.http.messages import Request, Response

RECORDED: Final = Path(__file__).parent / "recorded"
CONVERSATIONS: Final = sorted(it.stem for it in RECORDED.glob("*.json"))
# The others are of the transport, or of a moment.
HEADERS: Final = ("content-type", "location", "cache-control", "pragma", "x-retry-after")
KINDS: Final = {
    "<id>": r"[0-9a-f-]{36}",
    "<token>": r"[A-Za-z0-9_-]{32,64}",
    "<instant>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "<signed>": r"[A-Za-z0-9%_-]+\.[A-Za-z0-9%]+%3D",
    "<page>": r"(?s)<!doctype html>.*",
}

DEVIATIONS: Final = tomllib.loads(
    (Path(__file__).parent / "deviations.toml").read_text(encoding="utf-8")
)["deviation"]
PARTS: Final = ("status", "headers", "cookies", "json", "text")


def own_way(deviation: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of an answer that Watchword gives in its own way."""
    return {part: deviation[part] for part in PARTS if part in deviation}


@dataclass
class Player:
    """Says what was recorded, for every person in it."""

    auth: Any
    origin: str
    clock: Any
    mails: list[Any]
    known: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)

    async def play(self, step: dict[str, Any]) -> Response | None:
        """Do one step; the answer, if it is an exchange."""
        if "pass" in step:
            self.clock.advance(seconds=step["pass"])
            return None
        if "mail" in step:
            await self.auth.drain()
            mail = next(it for it in self.mails if it.to == step["mail"])
            self.mails.remove(mail)
            self.keep(step, {"mail": {"url": mail.url, "token": mail.token}})
            return None
        return await self.exchange(step)

    async def exchange(self, step: dict[str, Any]) -> Response:
        """Send a request as the person of the step does."""
        cookies = self.cookies.setdefault(step.get("as", "ada"), {})
        response = await self.auth.handle(self.request(step, cookies))
        for name, value in response.headers:
            if name == "set-cookie":
                keep_cookie(cookies, value)
        is_json = response.body[:1] in (b"{", b"[")
        body = json.loads(response.body) if is_json else None
        self.keep(step, {"body": body})
        return response

    def request(self, step: dict[str, Any], cookies: dict[str, str]) -> Request:
        """Return the request of a step."""
        method, _, target = self.fill(step["call"]).partition(" ")
        path, _, query = target.removeprefix(self.origin).partition("?")
        base = self.auth.options.path
        body = step.get("raw", json.dumps(step["body"]) if "body" in step else "")
        headers = {
            "user-agent": "wire",
            "origin": None if method == "GET" else self.origin,
            "content-type": "application/json" if "body" in step else None,
            "cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()) or None,
            **step.get("headers", {}),
        }
        return Request(
            method=method,
            path=unquote(path if path.startswith(base) else base + path),
            query_string=query,
            headers=tuple((name, it) for name, it in headers.items() if it is not None),
            body=self.fill(body).encode(),
            client_address="127.0.0.1",
        )

    def keep(self, step: dict[str, Any], answer: Any) -> None:
        """Note what later steps need."""
        for name, path in step.get("keep", {}).items():
            value = answer
            for key in path.split("."):
                value = value[int(key) if key.isdigit() else key]
            self.known[name] = value

    def fill(self, text: str) -> str:
        """Put in what was noted."""
        return re.sub(r"\$\{(\w+)\}", lambda it: self.known[it[1]], text)


def keep_cookie(cookies: dict[str, str], cookie: str) -> None:
    """Keep a cookie, or forget it, as a browser does."""
    name, _, value = cookie.partition(";")[0].partition("=")
    if "; Max-Age=0" in cookie:
        cookies.pop(name, None)
    else:
        cookies[name] = value


def differences(response: Response, recorded: dict[str, Any]) -> list[str]:
    """Name what is not as it was recorded."""
    headers = {name: value for name, value in response.headers if name in HEADERS}
    # The same cookie twice is once for a browser.
    cookies = dict.fromkeys(value for name, value in response.headers if name == "set-cookie")
    # Every answer says who is signed in, or to whom a link belongs: none is for a cache.
    recorded = recorded | {
        "headers": {"cache-control": "no-store", **recorded["headers"]},
        "cookies": list(dict.fromkeys(recorded["cookies"])),
    }
    told = {
        "status": response.status,
        "headers": headers,
        "cookies": list(cookies),
    }
    if "json" in recorded:
        told["json"] = json.loads(response.body) if response.body else "no body"
    else:
        told["text"] = response.body.decode()
    return [
        f"{part}: {recorded[part]!r} was recorded, not {found!r}"
        for part, found in told.items()
        if not is_like(found, recorded[part])
    ]


def is_like(found: Any, recorded: Any) -> bool:
    """Compare: the same keys, the same values, and texts of the same kind."""
    if isinstance(recorded, dict):
        same_keys = isinstance(found, dict) and found.keys() == recorded.keys()
        return same_keys and all(is_like(found[key], it) for key, it in recorded.items())
    if isinstance(recorded, list):
        same_length = isinstance(found, list) and len(found) == len(recorded)
        return same_length and all(map(is_like, found, recorded))
    if recorded == "<null>":  # which TOML has no word for
        return found is None
    if isinstance(recorded, str) and isinstance(found, str):
        parts = re.split("(<[a-z]+>)", recorded)
        pattern = "".join(KINDS.get(part, re.escape(part)) for part in parts)
        return re.fullmatch(pattern, found) is not None
    return type(found) is type(recorded) and found == recorded


@pytest.mark.parametrize("name", CONVERSATIONS)
async def test_a_recorded_conversation(new_auth, clock, settings_of, name):
    """Status, headers, every cookie, and the body to the last key."""
    recording = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    origin, base_path, mails = recording["origin"], recording["basePath"], []
    settings = {"email_password": None, "mail": mails.append, **settings_of(base_path)}
    auth = new_auth(base_url=origin, base_path=base_path, **settings)
    player = Player(auth, origin, clock, mails)
    own_ways = {it["step"]: own_way(it) for it in DEVIATIONS if it["conversation"] == name}

    found = []
    for number, step in enumerate(recording["steps"], 1):
        response = await player.play(step)
        if response is not None:
            recorded = step["answer"] | own_ways.get(number, {})
            said = f"{number}. {step['call']} {step.get('body', step.get('raw', ''))}"
            found += [f"{said}: {it}" for it in differences(response, recorded)]

    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "deviation", DEVIATIONS, ids=lambda it: f"{it['conversation']}-{it['step']}"
)
def test_a_way_of_its_own_is_one(deviation):
    """It has a reason, and what it names was recorded otherwise."""
    recording = json.loads(
        (RECORDED / f"{deviation['conversation']}.json").read_text(encoding="utf-8")
    )
    recorded = recording["steps"][deviation["step"] - 1]["answer"]

    assert deviation["why"]
    assert own_way(deviation)
    assert [part for part, it in own_way(deviation).items() if recorded.get(part) == it] == []
