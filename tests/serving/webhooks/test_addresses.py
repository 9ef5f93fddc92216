"""Where messages may go: by the URL, by the address, and by what a name leads to when it is connected to."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipeline.errors import ConfigError, UsageError
from serving.webhooks.addresses import AddressRefused, Guard, Target, read_networks
from serving.webhooks.sending import Outcome, Sender
from tests.serving.webhooks.conftest import LOOPBACK
from tests.webhook_receiver import Receiver

REFUSED = (
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255",
    "127.0.0.1", "127.1.2.3", "127.255.255.254", "168.63.129.16", "169.254.0.1", "169.254.169.254",
    "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "::127.0.0.1", "::8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "64:ff9b::10.0.0.1", "64:ff9b:1::808:808", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1", "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254",
    "fd12:3456::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
)  # fmt: skip
ACCEPTED = (
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.255.255.255",
    "128.0.0.1", "168.63.129.17", "169.253.255.255", "172.15.255.255", "172.32.0.1", "192.167.255.255",
    "192.169.0.1", "198.17.255.255", "223.255.255.255", "2606:4700:4700::1111", "2001:4860:4860::8888",
    "2400:3200::1", "64:ff9b::808:808",
)  # fmt: skip


@pytest.mark.parametrize("address", REFUSED)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    with pytest.raises(AddressRefused):
        Guard().check(address)


@pytest.mark.parametrize("address", ACCEPTED)
def test_public_addresses_are_accepted(address: str) -> None:
    Guard().check(address)


def test_the_list_is_at_least_as_strict_as_the_standard_library() -> None:
    for address in (*REFUSED, *ACCEPTED):
        found = ipaddress.ip_address(address.partition("%")[0])
        if not found.is_global:
            assert address in REFUSED or address.startswith("64:ff9b::"), address


def test_networks_that_are_allowed_are_accepted_and_no_others() -> None:
    guard = Guard(read_networks(("10.1.0.0/16", "fd00::/8")))
    for address in ("10.1.2.3", "fd00::1", "8.8.8.8"):
        guard.check(address)
    for address in ("10.2.0.1", "127.0.0.1", "::1", "::ffff:10.1.2.3"):
        with pytest.raises(AddressRefused):
            guard.check(address)
    for wrong in ("10.1.0.1/16", "localhost", ""):
        with pytest.raises(UsageError) as told:
            read_networks((wrong,))
        assert told.value.code == "webhook_network_invalid"


@pytest.mark.parametrize("url", [
    "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "//example.com/", "",
    "https://", "https:///path", "https://:443/", "https://user@example.com/", "https://user:pass@example.com/",
    "https://@example.com/", "https://example.com/#x", "https://example.com/a b", "https://example.com\\@127.0.0.1/",
    "https://example.com/\r\nX: y", "https://example.com/\t", "https://exa\nmple.com/", "https://例子.中国/", "https://example.com/路",
    "https://example.com:0/", "https://example.com:65536/", "https://example.com:x/", "https://[::1/", "https://[x]/",
    "https://[fe80::1%25eth0]/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/",
    "https://127.1/", "https://127.0.1/", "https://017700000001/", "https://127.0.0.1.1/", "https://256.0.0.1/",
    "https://1/", "https://0/", "https://0x/", "https://a.0x7f/", "https://127.0.0.0x1/", "https://-a.com/", "https://a..com/",
    "https://%31%32%37.0.0.1/", "https://127.0.0.1%00.example.com/", "https://example.com" + "/a" * 1000,
])  # fmt: skip
def test_urls_that_somebody_may_read_differently_are_refused(url: str) -> None:
    with pytest.raises(UsageError) as told:
        Guard().target(url)
    assert told.value.code == "webhook_url_invalid"
    assert "found something else" in told.value.message
    assert "pass" not in told.value.message.replace("password", "")


def test_urls_are_taken_apart_once() -> None:
    found = Guard().target("https://Hooks.Example.com:8443/a%20b?x=1&y=%E5%A5%BD")
    assert found == Target("https", "hooks.example.com", 8443, "/a%20b?x=1&y=%E5%A5%BD")
    assert found.authority == "hooks.example.com:8443"
    assert Guard().target("https://[2606:4700::1]").authority == "[2606:4700::1]"
    assert Guard().target("https://xn--fsqu00a.xn--0zwm56d/").host == "xn--fsqu00a.xn--0zwm56d"
    assert Guard(http=True).target("http://example.com?a").path == "/?a"


def send(sender: Sender, url: str) -> Outcome:
    async def run() -> Outcome:
        try:
            return await sender.send(url, b"{}", headers={})
        finally:
            await sender.close()

    return asyncio.run(run())


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "[::1]", "[::ffff:127.0.0.1]", "localhost", "0.0.0.0"])
def test_nothing_reaches_this_host_unless_that_is_allowed(host: str, receiver: Receiver) -> None:
    url = f"http://{host}:{receiver.port}/"
    assert send(Sender(Guard(http=True)), url) == Outcome("address_refused")
    assert receiver.got == []
    assert send(Sender(LOOPBACK), receiver.url) == Outcome(None, 204)
    assert send(Sender(Guard(LOOPBACK.networks)), receiver.url) == Outcome("url_refused")  # http is another matter


@pytest.mark.parametrize("form", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0"])
def test_what_getaddrinfo_makes_of_odd_forms_is_refused_too(form: str, receiver: Receiver) -> None:
    """Were one to come past the URL's check: the address counts."""
    resolve = lambda _host, port: [str(e[4][0]) for e in socket.getaddrinfo(form, port, type=socket.SOCK_STREAM)]  # noqa: E731
    url = f"http://hooks.example:{receiver.port}/"
    assert send(Sender(Guard(http=True), resolve=resolve), url) == Outcome("address_refused")
    assert receiver.got == []


def test_a_name_is_resolved_once_and_connected_to_where_it_was_checked(receiver: Receiver) -> None:
    """DNS rebinding: an allowed address for the check, another for the connection."""
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    guard = Guard(read_networks(("127.0.0.1/32",)), http=True)
    url = f"http://hooks.example:{receiver.port}/"
    assert send(Sender(guard, resolve=resolve), url) == Outcome(None, 204)
    assert asked == ["hooks.example"]
    assert receiver.got[0].headers["host"] == f"hooks.example:{receiver.port}"
    assert send(Sender(guard, resolve=resolve), url) == Outcome("address_refused")
    assert len(receiver.got) == 1


def test_one_address_that_is_refused_spoils_the_name(receiver: Receiver) -> None:
    guard = Guard(read_networks(("127.0.0.1/32",)), http=True)
    url = f"http://hooks.example:{receiver.port}/"
    both = lambda *_: ["127.0.0.1", "10.0.0.1"]  # noqa: E731
    assert send(Sender(guard, resolve=both), url) == Outcome("address_refused")
    assert receiver.got == []


def test_the_next_address_is_tried_where_one_does_not_answer(receiver: Receiver) -> None:
    two = lambda *_: ["127.0.0.9", "127.0.0.1"]  # noqa: E731  (the receiver listens on the second alone)
    assert send(Sender(LOOPBACK, resolve=two), f"http://hooks.example:{receiver.port}/") == Outcome(None, 204)


def test_a_name_that_is_not_known(receiver: Receiver) -> None:
    def resolve(*_: object) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    assert send(Sender(LOOPBACK, resolve=resolve), f"http://hooks.example:{receiver.port}/") == Outcome("name_unknown")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of hooks.example, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    plain = serialization.NoEncryption()
    key_pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key_pem)
    return file


def test_certificates_are_checked_for_the_name_and_not_the_address(
    make_receiver: Callable[..., Receiver], certificate: Path
) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    asked: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: asked.append(name)
    receiver = make_receiver(tls=server)
    guard = Guard(LOOPBACK.networks)

    def attempt(host: str, *, known: bool = True) -> Outcome:
        tls = ssl.create_default_context(cafile=str(certificate)) if known else None
        sender = Sender(guard, resolve=lambda *_: ["127.0.0.1"], tls=tls)
        return send(sender, f"https://{host}:{receiver.port}/hooks")

    assert attempt("hooks.example") == Outcome(None, 204)
    assert asked == ["hooks.example"]
    assert receiver.got[0].headers["host"] == f"hooks.example:{receiver.port}"
    assert attempt("other.example") == Outcome("tls")
    assert attempt("hooks.example", known=False) == Outcome("tls")
    assert len(receiver.got) == 1


def test_a_file_of_authorities_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").write_text("hello", encoding="utf-8")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(ConfigError) as told:
        Sender(Guard())
    assert told.value.code == "webhook_tls_invalid"


def test_the_proxy_of_the_environment_is_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert send(Sender(LOOPBACK), receiver.url) == Outcome(None, 204)
