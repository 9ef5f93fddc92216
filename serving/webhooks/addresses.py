"""Where messages may be sent: public addresses over https, unless the operator allows others.

A URL that somebody else chose must not reach what only this host can: itself, its network, the cloud's metadata (OWASP
API7:2023). What counts is the address that is connected to, so the check is there (sending.py), whatever the name said.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from pipeline.errors import UsageError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LONGEST = 2000  # characters of a URL

# IANA's special-purpose registries as of 2025, what is not meant for everybody; and two services of clouds.
_NOT_PUBLIC_4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' NAT; 100.100.100.200 is Alibaba's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host, a public address by its number
        "169.254.0.0/16",  # link-local; 169.254.169.254 is everybody's metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # 192.0.0.192 is Oracle's metadata
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")  # all that is given out; ::1, fc00::/7, fe80::/10, ff00::/8 are not in it
_NOT_PUBLIC_6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocols; 2001::/32 is Teredo, which holds an IPv4 address
        "2001:db8::/32",
        "2002::/16",  # 6to4, likewise
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # how hosts with IPv6 alone reach IPv4

_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_TARGET = re.compile(r"/[!-~]*")


class AddressRefused(Exception):  # noqa: N818  (an outcome of an attempt)
    """The name leads to an address that is not public and that nobody allowed."""


@dataclass(frozen=True, slots=True)
class Target:
    """A checked URL in its parts, so that nobody reads it a second time and differently."""

    scheme: str
    host: str  # ASCII; an IPv6 address without brackets
    port: int
    path: str  # with the query

    @property
    def authority(self) -> str:
        """For the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"http": 80, "https": 443}[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Guard:
    """What is allowed beside https to public addresses."""

    networks: tuple[Network, ...] = ()
    http: bool = False

    def check(self, address: str) -> None:
        """Raise AddressRefused for an address, as getaddrinfo gives it, that is not to be connected to."""
        found = ipaddress.ip_address(address.partition("%")[0])
        if not _public(found) and not any(found in network for network in self.networks):
            raise AddressRefused(address)

    def target(self, url: str) -> Target:
        """A URL in its parts. Raises UsageError `webhook_url_invalid`."""
        if len(url) > _LONGEST or not url.isascii() or not url.isprintable() or any(sign in url for sign in " \\"):
            raise _invalid(f"up to {_LONGEST} printable ASCII characters; write names as xn--… and the rest as %XX")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise _invalid("https://HOST/PATH") from None
        if parts.scheme not in (("https", "http") if self.http else ("https",)):
            raise _invalid("https://…, for others read http on the way (--allow-http allows it)")
        if parts.username is not None or parts.password is not None or "#" in url:
            raise _invalid("no name, password or fragment in it")
        if port == 0:
            raise _invalid("a port from 1 to 65535")
        _check_host(host, bracketed="[" in parts.netloc)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not _TARGET.fullmatch(path):
            raise _invalid("a path that begins with /")
        return Target(parts.scheme, host, port or {"http": 80, "https": 443}[parts.scheme], path)


def read_networks(values: tuple[str, ...]) -> tuple[Network, ...]:
    """Networks in CIDR form. Raises UsageError `webhook_network_invalid`."""
    try:
        return tuple(ipaddress.ip_network(value.strip()) for value in values)
    except ValueError:
        raise UsageError(
            "webhook_network_invalid", "expected networks such as 10.1.0.0/16 or fd00::/8, without bits set behind them"
        ) from None


def _check_host(host: str, *, bracketed: bool) -> None:
    if bracketed:
        try:
            if "%" in host:  # a network card of this host
                raise ValueError
            ipaddress.IPv6Address(host)
        except ValueError:
            raise _invalid("an IPv6 address in the brackets") from None
        return
    if not _NAME.fullmatch(host):
        raise _invalid("a host in it")
    # 2130706433, 0x7f000001, 0177.0.0.1 and 127.1 are 127.0.0.1 to some and names to others.
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise _invalid("a name or an IPv4 address as four decimal numbers") from None


def _public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address in _NAT64:
        return _public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _PUBLIC_6 and not any(address in network for network in _NOT_PUBLIC_6)


def _invalid(expected: str) -> UsageError:
    # Not what was found: there may be a token in it.
    return UsageError("webhook_url_invalid", f"the URL of a webhook: expected {expected}; found something else")
