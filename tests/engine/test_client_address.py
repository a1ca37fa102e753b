"""Whose request it is: nobody chooses the own address, and no text is an exception."""

from ipaddress import ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from watchword.engine.client_address import ClientAddresses, bucket
from watchword.errors import ConfigurationError
from watchword.http.messages import Request

PROXIES = ["10.0.0.0/8", "192.0.2.1", "2001:db8:ffff::/48", "fe80::1"]
CLIENT = "203.0.113.7"
OTHER = "198.51.100.9"


def find(socket, *lines, trusted=PROXIES, name="x-forwarded-for", **settings):
    """Return the address of a request that came by this socket with these header lines."""
    headers = (("host", "a.example"), *((name, line) for line in lines), ("x-other", OTHER))
    request = Request(method="GET", path="/", headers=headers, client_address=socket)
    return ClientAddresses(trusted, **settings).find(request)


# --- who is believed ----------------------------------------------------------------------


def test_without_proxies_it_is_the_other_end_of_the_socket():
    """The default believes no header at all."""
    assert find(CLIENT, trusted=()) == CLIENT


@pytest.mark.parametrize("lines", [(OTHER,), (f"{OTHER}, 10.0.0.1",), ("",), ("unknown",)])
@pytest.mark.parametrize("trusted", [(), PROXIES])
def test_attack_header_of_a_client_that_is_no_proxy(lines, trusted):
    """Who is not trusted is the client, whatever it says."""
    assert find(CLIENT, *lines, trusted=trusted) == CLIENT


CHAINS = [
    # one proxy: what it appends is the client, what the client sent is not
    ((CLIENT,), CLIENT),
    ((f"{OTHER}, {CLIENT}",), CLIENT),
    ((f"{OTHER},{CLIENT}",), CLIENT),
    ((f"10.0.0.1, {OTHER}, {CLIENT}",), CLIENT),
    ((f"127.0.0.1, {CLIENT}",), CLIENT),
    # several: past the trusted ones, from the right
    ((f"{CLIENT}, 10.0.0.2",), CLIENT),
    ((f"{OTHER}, {CLIENT}, 10.0.0.3, 192.0.2.1",), CLIENT),
    ((f"{CLIENT}, 192.0.2.2, 10.0.0.3",), "192.0.2.2"),
    ((f"{CLIENT}, 2001:db8:ffff:1::2",), CLIENT),
    # a line of its own
    ((CLIENT, "10.0.0.2"), CLIENT),
    ((OTHER, CLIENT), CLIENT),
    ((OTHER, f"{CLIENT}, 10.0.0.2", "10.0.0.3"), CLIENT),
    # all are ours: the request began at the first
    (("10.0.0.3, 10.0.0.2",), "10.0.0.3"),
    (("10.0.0.3", "192.0.2.1, 10.0.0.2"), "10.0.0.3"),
    # nothing is reported: the proxy itself asks
    ((), "10.0.0.1"),
]


@pytest.mark.parametrize(("lines", "address"), CHAINS)
def test_a_trusted_proxy_is_believed_from_right_to_left(lines, address):
    """The first that is not trusted is the client: it is what the last trusted one saw."""
    assert find("10.0.0.1", *lines) == address


GARBAGE = ["unknown", "_hidden", "", " ", "-", "unix:", "a.example", "1.2.3", "1.2.3.4.5"]
GARBAGE += ["1.2.3.256", "01.2.3.4", "1.2.3.4/32", "1.2.3.4:", "1.2.3.4:x", "1.2.3.4:123456"]
GARBAGE += ["::1::", "[::1", "::1]", "[]", "[]:80", "[::1]80", "[::1]:", "12345::", "1.2.3.4%eth0"]
GARBAGE += ['"1.2.3.4"', "for=1.2.3.4", "1.2.3.4;", "1.2.3.4 5.6.7.8", "\xa01.2.3.4", "0x7f000001"]
GARBAGE += ["2130706433", "\u0661.2.3.4", "\uff11.2.3.4", "1.2.3.4\0", "1.2.3.4\n", "\ud800", "%"]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_what_is_no_address_ends_the_search(garbage):
    """The proxy to its right is the last that somebody trustworthy has seen."""
    assert find("10.0.0.1", f"{OTHER}, {garbage}, 10.0.0.2") == "10.0.0.2"
    assert find("10.0.0.1", f"{OTHER}, {garbage}") == "10.0.0.1"
    assert find("10.0.0.1", f"{garbage}, {CLIENT}") == CLIENT


@pytest.mark.parametrize("nothing", ["", " ", ","])
def test_attack_own_address_before_a_proxy_that_reports_nothing(nothing):
    """An empty entry is a proxy that did not know; what stands left of it is the client's."""
    assert find("10.0.0.1", OTHER, nothing) == "10.0.0.1"


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("203.0.113.7:5678", "203.0.113.7"),
        ("[2001:db8::5]:443", "2001:db8::5"),
        ("[2001:db8::5]", "2001:db8::5"),
        ("2001:db8::5", "2001:db8::5"),
        ("2001:DB8:0:0::0005", "2001:db8::5"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:cb00:7107", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:80", "203.0.113.7"),
        ("fe80::2%eth0", "fe80::2"),
        ("[fe80::2%25eth0]:80", "fe80::2"),
        ("fe80::2%<script>", "fe80::2"),
        ("\t203.0.113.7 ", "203.0.113.7"),
    ],
)
def test_one_address_is_written_in_one_way(written, address):
    """Ports, zones and case make no other client, and no text of a client gets through."""
    assert find("10.0.0.1", written) == address
    assert find("10.0.0.1", f"{OTHER}, {written}, 10.0.0.2") == address


@pytest.mark.parametrize("socket", ["203.0.113.7", "::ffff:203.0.113.7", "203.0.113.7:1234"])
def test_the_socket_s_address_is_written_so_too(socket):
    """A server that listens on both kinds sees IPv4 clients in IPv6 form."""
    assert find(socket, trusted=()) == "203.0.113.7"


@pytest.mark.parametrize("socket", ["::ffff:10.9.8.7", "fe80::1%eth0", "2001:db8:ffff::1"])
def test_a_proxy_is_recognised_in_every_form(socket):
    """A mapped address, and one with a zone, are what they stand for."""
    assert find(socket, CLIENT) == CLIENT


@pytest.mark.parametrize("trusted", ["::ffff:10.0.0.1", "::ffff:10.0.0.0/104"])
def test_a_proxy_may_be_named_in_ipv6_form(trusted):
    """What is written as IPv4 in IPv6 trusts that IPv4 address or network."""
    assert find("10.0.0.1", CLIENT, trusted=[trusted]) == CLIENT
    assert find("11.0.0.1", CLIENT, trusted=[trusted]) == "11.0.0.1"


# --- sockets without an address -----------------------------------------------------------

NO_ADDRESS = pytest.mark.parametrize(
    "socket", [None, "", "localhost", "testclient", "unix:/run/x"]
)


@NO_ADDRESS
def test_a_unix_socket_says_nothing_by_itself(socket):
    """Where no proxy is expected, no header is believed: the client is not known."""
    assert find(socket, CLIENT, trusted=()) is None


@NO_ADDRESS
def test_a_unix_socket_leads_to_the_proxy_of_this_machine(socket):
    """Where proxies are expected, its header is believed like theirs."""
    assert find(socket, f"{OTHER}, {CLIENT}, 10.0.0.2") == CLIENT
    assert find(socket, f"{OTHER}, {CLIENT}") == CLIENT
    assert find(socket, f"{OTHER}, unknown, 10.0.0.2") == "10.0.0.2"


@NO_ADDRESS
@pytest.mark.parametrize("lines", [(), ("",), ("unknown",), (f"{OTHER}, unknown",)])
def test_a_unix_socket_whose_proxy_reports_nothing(socket, lines):
    """Then nobody knows the client, and nobody makes one up."""
    assert find(socket, *lines) is None


# --- other headers ------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["x-real-ip", "X-Real-IP", "CF-Connecting-IP"])
def test_another_header_may_be_the_one(header):
    """Its name is compared without case, and X-Forwarded-For is then any client's text."""
    assert find("10.0.0.1", CLIENT, name=header.lower(), header=header) == CLIENT
    assert find("10.0.0.1", OTHER, header=header) == "10.0.0.1"


# --- whatever comes -----------------------------------------------------------------------

PIECES = ["1.2.3.4", "10.0.0.1", "::1", "fe80::1", "[", "]", ":", "%", "80", ",", " ", ".", "::"]
TEXT = st.one_of(
    st.text(max_size=30),
    st.text(alphabet="0123456789abcdef:.[]%/, ", max_size=30),
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
    st.ip_addresses().map(str),
)


@given(st.none() | TEXT, st.lists(TEXT, max_size=4), st.sampled_from([(), PROXIES]))
@example("10.0.0.1", ["1.2.3.4:" + "9" * 5000], PROXIES)
@example("10.0.0.1", ["9" * 5000], PROXIES)
@example("10.0.0.1", ["," * 5000], PROXIES)
@example("10.0.0.1", ["[\ud800]:1"], PROXIES)
def test_any_text_can_be_looked_at(socket, lines, trusted):
    """The answer is an address in its one form, or None, and never an exception."""
    found = find(socket, *lines, trusted=trusted)

    assert found is None or found == str(ip_address(found))


@given(st.lists(TEXT, max_size=4))
def test_attack_any_header_before_what_the_proxy_saw(lines):
    """Whatever a client sends, what its proxy appends is the answer."""
    assert find("10.0.0.1", *lines, CLIENT) == CLIENT
    assert find("10.0.0.1", ",".join([*lines, CLIENT])) == CLIENT


@given(st.ip_addresses(), st.lists(TEXT, max_size=3))
def test_attack_any_header_of_any_stranger(socket, lines):
    """Without proxies the header is as good as absent."""
    assert find(str(socket), *lines, trusted=()) == find(str(socket), trusted=())


# --- configuration ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "proxy",
    ["", "proxy", "10.0.0", "10.0.0.1/8", "10.0.0.0/33", "*", "1.2.3.4:80", "fe80::1%eth0"],
)
def test_a_proxy_that_is_no_address_is_found_at_start_up(proxy):
    """Otherwise all clients would be one, and be locked out together, in production."""
    with pytest.raises(ConfigurationError) as error:
        ClientAddresses(["10.0.0.1", proxy])

    assert repr(proxy) in error.value.message


@pytest.mark.parametrize("everybody", ["0.0.0.0/0", "::/0", "::ffff:0:0/96"])
def test_attack_everybody_as_a_trusted_proxy(everybody):
    """Each client could then choose its address."""
    with pytest.raises(ConfigurationError, match="everybody"):
        ClientAddresses([everybody])


def test_one_text_is_no_list_of_proxies():
    """Its letters would be."""
    with pytest.raises(ConfigurationError, match="one text"):
        ClientAddresses("10.0.0.1")


@pytest.mark.parametrize("header", ["", "x forwarded", "x-forwarded-for:", "Forwarded", "\xfc"])
def test_a_header_that_cannot_be_read_is_found_at_start_up(header):
    """RFC 7239's Forwarded has another grammar, in which every entry would be garbage."""
    with pytest.raises(ConfigurationError, match=r"header|Forwarded"):
        ClientAddresses(["10.0.0.1"], header)


# --- buckets ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002:0000:0000:0000:0000"),
        ("2001:db8:1:2::", "2001:0db8:0001:0002:0000:0000:0000:0000"),
        ("2001:DB8:1:2:ffff::1", "2001:0db8:0001:0002:0000:0000:0000:0000"),
        ("2001:db8:1:3::", "2001:0db8:0001:0003:0000:0000:0000:0000"),
        ("fe80::1%eth0", "fe80:0000:0000:0000:0000:0000:0000:0000"),
        ("::1", "0000:0000:0000:0000:0000:0000:0000:0000"),
    ],
)
def test_an_ipv6_network_is_one_client(address, expected):
    """A customer has 2**64 addresses and would never be counted twice."""
    assert bucket(address) == expected


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        (128, "2001:0db8:0001:0002:0003:0004:0005:0006"),
        (48, "2001:0db8:0001:0000:0000:0000:0000:0000"),
        (36, "2001:0db8:0000:0000:0000:0000:0000:0000"),
        (0, "0000:0000:0000:0000:0000:0000:0000:0000"),
    ],
)
def test_how_many_bits_make_a_client_can_be_chosen(prefix, expected):
    """Some providers give each customer a /56 or a /48."""
    assert bucket("2001:db8:1:2:3:4:5:6", ipv6_prefix=prefix) == expected
    assert bucket("203.0.113.7", ipv6_prefix=prefix) == "203.0.113.7"


@given(TEXT)
def test_any_text_has_a_bucket(text):
    """And a bucket is its own, so that it may be computed twice."""
    assert bucket(bucket(text)) == bucket(text)
