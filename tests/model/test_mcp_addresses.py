"""By which names a service may be asked for."""

from __future__ import annotations

import http.client
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("mcp")

from tests.model.quiet_robot import QuietLink, listens, quiet_service

from vla_data.errors import ConfigError
from vla_model.serving.addresses import Address, in_url
from vla_model.serving.mcp_service import listening
from vla_model.serving.tokens import caller_of

TOKEN = "reader-token-0123456"
CALLERS = [caller_of("reader", TOKEN, ("read",))]
LOOPBACK = {"127.0.0.1:8010", "[::1]:8010", "localhost:8010"}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_alone_has_three_names(host: str):
    address = Address(host)
    assert address.loopback
    assert set(address.hosts(8010)) == LOOPBACK
    assert address.url(8010) == f"http://{in_url(host)}:8010"


def test_another_number_of_this_machine_is_a_name_too():
    assert set(Address("127.0.0.7").hosts(80)) >= {"127.0.0.7:80", "localhost:80"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "fd00::1", "robot.local", ""])
def test_an_interface_that_others_reach_needs_a_name(host: str):
    with pytest.raises(ConfigError) as error:
        Address(host)
    assert "--public-host NAME" in str(error.value)


@pytest.mark.parametrize(
    ("host", "public", "hosts", "url"),
    [
        ("0.0.0.0", ("robot.local",), LOOPBACK | {"robot.local", "robot.local:8010"}, "robot.local:8010"),
        ("::", ("[FD00::1]:9",), LOOPBACK | {"[fd00::1]:9"}, "[fd00::1]:9"),
        ("192.168.1.5", ("192.168.1.5:8010",), {"192.168.1.5:8010"}, "192.168.1.5:8010"),
        ("127.0.0.1", ("Robot.ex:443",), LOOPBACK | {"robot.ex:443", "robot.ex"}, "127.0.0.1:8010"),
        ("10.0.0.1", ("a", "b:1"), {"a", "a:8010", "b:1"}, "a:8010"),
    ],
)  # fmt: skip
def test_public_names_are_added(host: str, public: tuple[str, ...], hosts: set[str], url: str):
    address = Address(host, public)
    assert set(address.hosts(8010)) == hosts
    assert address.url(8010) == f"http://{url}"


@pytest.mark.parametrize(
    "name",
    ["", "*", "*.example", "http://robot.example", "robot.example/", "a b", "a:0", "a:70000", "a:b", "a,b",
     "[::]", "[::1", "[nothing]", "0.0.0.0", "fd00::1", "-", "a\n"],
)  # fmt: skip
def test_what_is_no_name_is_refused(name: str):
    with pytest.raises(ConfigError, match="public host"):
        Address("0.0.0.0", (name,))


@given(st.text(max_size=20))
def test_no_name_lets_everything_in(name: str):
    try:
        hosts = Address("0.0.0.0", (name,)).hosts(8010)
    except ConfigError:
        return
    assert not any("*" in host for host in hosts)
    assert set(hosts) - LOOPBACK <= {name.lower(), f"{name.lower()}:8010"}


# ------------------------------------------------------------------ over HTTP


def status(at: str, port: int, host: str) -> int:
    """Of an initialisation, told that `host` is meant."""
    params = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
    connection = http.client.HTTPConnection(at, port, timeout=10)
    headers = {"Host": host, "Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    connection.request("POST", "/mcp", body, {**headers, "Accept": "application/json, text/event-stream"})
    return connection.getresponse().status


def test_any_interface_answers_to_its_names_alone():
    service = quiet_service(QuietLink("ended"), Address("0.0.0.0", ("robot.example",)))
    with listens(service, CALLERS) as at:
        port = at.port
        for host in ("robot.example", f"robot.example:{port}", f"localhost:{port}", f"[::1]:{port}"):
            assert status("127.0.0.1", port, host) == 200
        for host in ("evil.example", f"0.0.0.0:{port}", "robot.example.evil", "localhost", "robot.example:1"):
            assert status("127.0.0.1", port, host) == 421


def test_the_loopback_of_ipv6_works_from_end_to_end():
    address = Address("::1")
    try:
        listening("::1", 0).close()
    except ConfigError:
        pytest.skip("this machine has no IPv6")
    with listens(quiet_service(QuietLink("ended"), address), CALLERS) as at:
        port = at.port
        assert address.url(port) == f"http://[::1]:{port}"
        assert status("::1", port, f"[::1]:{port}") == 200
        assert status("::1", port, f"::1:{port}") == 421
        assert status("::1", port, f"evil.example:{port}") == 421
