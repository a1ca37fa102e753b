"""Whose request it is: the address of the client, past the proxies that are trusted.

A header is believed as far as trusted proxies wrote it, and no further: each adds the address
that it saw at the right, so what a client invents stands to the left of its own.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, TypeAlias

from watchword.errors import ConfigurationError
from watchword.http.messages import Request

__all__ = ["ClientAddresses", "bucket"]

_Address: TypeAlias = IPv4Address | IPv6Address
_Network: TypeAlias = IPv4Network | IPv6Network

_WITH_PORT: Final = re.compile(r"\[([^]]+)](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")  # RFC 9110, 5.6.2
_LONGEST: Final = 128  # an IPv6 address with a zone and a port is far shorter
_MAPPED_BITS: Final = 96  # what stands before the IPv4 address in ::ffff:192.0.2.1


class ClientAddresses:
    """Finds out from which address a request was sent.

    Args:
        trusted_proxies: Addresses and networks (`10.0.0.0/8`) whose word on where a request
            came from is taken. If there are any, it is also taken from the other end of a
            unix socket, which has no address and can only be a program on this machine.
        header: Where they write it: a list to which each proxy appends, or one address.

    Raises:
        ConfigurationError: One of them is no address, or would be everybody.
    """

    def __init__(
        self, trusted_proxies: Sequence[str] = (), header: str = "x-forwarded-for"
    ) -> None:
        if isinstance(trusted_proxies, str):
            raise ConfigurationError(
                "trusted_proxies is one text.", hint="Pass a list of addresses and networks."
            )
        self._trusted = tuple(_network(it) for it in trusted_proxies)
        self._header = _header_name(header)

    def find(self, request: Request) -> str | None:
        """Return the client's address, IPv6 in its short form; None if it is not known.

        Whatever is no address ends the search: the one to its right is the last that
        somebody trustworthy has seen.
        """
        address = _parse(request.client_address or "")
        if self._trusted and (address is None or self._trusts(address)):
            address = self._walk(request.header_values(self._header), address)
        return None if address is None else str(address)

    def _walk(self, lines: Iterable[str], address: _Address | None) -> _Address | None:
        # A proxy may add a line of its own instead of extending the last (RFC 9110, 5.2).
        for reported in reversed(",".join(lines).split(",")):
            seen = _parse(reported.strip(" \t"))
            if seen is None:
                return address
            address = seen
            if not self._trusts(address):
                return address
        return address

    def _trusts(self, address: _Address) -> bool:
        return any(address in network for network in self._trusted)


@lru_cache(maxsize=2048)
def bucket(address: str, *, ipv6_prefix: int = 64) -> str:
    """Return what clients with one connection share: the IPv4 address, or the IPv6 network.

    A provider gives each customer a /64 at least, so single IPv6 addresses cost nothing to
    change. The network is written in eight full groups; what is no address stays as it is.

    Args:
        address: Any text.
        ipv6_prefix: How many bits are kept, 0 to 128.
    """
    parsed = _parse(address)
    if parsed is None:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    dropped = parsed.max_prefixlen - ipv6_prefix
    return IPv6Address(int(parsed) >> dropped << dropped).exploded


def _parse(text: str) -> _Address | None:
    """Read an address, with or without a port; an IPv4 address in IPv6 form is unpacked."""
    # Longer texts are no addresses, and would fill what is remembered.
    return _remembered(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=2048)  # the same client asks again, and parsing costs as much as a digest
def _remembered(text: str) -> _Address | None:
    with_port = _WITH_PORT.fullmatch(text)
    if with_port is not None:
        text = with_port[1] or with_port[2]
    try:
        # The zone names an interface of one machine, and may be any text.
        address = ip_address(text.partition("%")[0] if ":" in text else text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


# --- configuration -----------------------------------------------------------------------


def _network(text: str) -> _Network:
    try:
        network = _unmapped(ip_network(text))
    except ValueError as error:
        raise ConfigurationError(
            f"The trusted proxy {text!r} is neither an address nor a network.",
            hint="Write it like 192.0.2.1, 10.0.0.0/8 or fd00::/8; all bits after the prefix "
            "are zero.",
        ) from error
    if network.prefixlen == 0:
        raise ConfigurationError(
            f"The trusted proxy {text!r} is everybody: each client could choose its address.",
            hint="List the networks of your proxies only, such as 10.0.0.0/8.",
        )
    if "%" in text:
        raise ConfigurationError(
            f"The trusted proxy {text!r} has a zone, which is not looked at.",
            hint="Leave it out, and the address is trusted on every interface.",
        )
    return network


def _unmapped(network: _Network) -> _Network:
    """Unpack an IPv4 network in IPv6 form, as addresses are when they are read."""
    first = network.network_address
    if isinstance(first, IPv4Address) or first.ipv4_mapped is None:
        return network
    # No shorter prefix has such a first address: its last bits before the IPv4 part are ones.
    return IPv4Network((first.ipv4_mapped, network.prefixlen - _MAPPED_BITS))


def _header_name(header: str) -> str:
    name = header.lower()
    if not _HEADER_NAME.fullmatch(name):
        raise ConfigurationError(
            f"{header!r} is no name of a header.", hint="Write it like x-forwarded-for."
        )
    if name == "forwarded":
        raise ConfigurationError(
            "The header Forwarded is no list of addresses.",
            hint="Have the proxy send X-Forwarded-For, and remove Forwarded.",
        )
    return name
