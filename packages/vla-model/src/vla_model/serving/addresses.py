"""By which names a service may be asked for.

A page in a browser can have its own name resolved to this machine's address, and then talk to a service here
(DNS rebinding). What it cannot do is to send another `Host` than its own name: a service that answers to
names it knows, and to no other, is out of its reach.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from vla_data.errors import ConfigError

LOOPBACK_NAMES = ("127.0.0.1", "[::1]", "localhost")
USUAL = ("80", "443")  # ports that clients leave out
# A name or a number of IPv4; a number of IPv6 in brackets; each with a port or without.
PUBLIC = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(:([0-9]{1,5}))?")


@dataclass(frozen=True)
class Address:
    """An interface, and the names under which clients know it.

    Args:
        host: of the interface: a name or a number; `0.0.0.0` and `::` are all interfaces.
        public: `NAME` or `NAME:PORT`, as clients say them; without a port, with that of the service or none.

    Raises:
        ConfigError: a name cannot be one, or others could reach the interface and nobody said by which name.
    """

    host: str = "127.0.0.1"
    public: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.public:
            if not _is_public(name):
                raise ConfigError(
                    "a public host cannot be like this",
                    where="--public-host",
                    expected="NAME or NAME:PORT, for instance robot.example, 192.168.1.5:8010, [fd00::1]",
                    got=name[:80],
                )
        if not self.loopback and not self.public:
            raise ConfigError(
                "others can reach this interface, but nobody said by which name",
                where=f"--host {self.host}",
                expected="the name or number of this machine as clients say it",
                next_step=f"--host {self.host} --public-host NAME",
            )

    @property
    def loopback(self) -> bool:
        """Whether this machine alone can reach it."""
        return is_loopback(self.host)

    def hosts(self, port: int) -> list[str]:
        """The values that the header `Host` may have, of a service at `port`."""
        number = _number(self.host)
        everywhere = number is not None and number.is_unspecified
        names = {*LOOPBACK_NAMES, in_url(self.host)} if self.loopback else set()
        allowed = {f"{name}:{port}" for name in (LOOPBACK_NAMES if everywhere else names)}
        for told in self.public:
            name, told_port = _parts(told)
            allowed.add(f"{name}:{told_port or port}")
            if not told_port or told_port in USUAL:
                allowed.add(name)
        return sorted(allowed)

    def url(self, port: int) -> str:
        """Where a client finds a service at `port` if it is asked directly."""
        if self.loopback:
            return f"http://{in_url(self.host)}:{port}"
        name, told_port = _parts(self.public[0])
        return f"http://{name}:{told_port or port}"


def in_url(host: str) -> str:
    """A host as it stands in a URL: a number of IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Whether this machine alone can reach an interface."""
    number = _number(host)
    return host.lower() == "localhost" or (number is not None and number.is_loopback)


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _parts(told: str) -> tuple[str, str]:
    """Name and port; the port may be empty."""
    found = PUBLIC.fullmatch(told.lower())
    assert found is not None, "names were looked at before"
    return found[1], found[4] or ""


def _is_public(told: str) -> bool:
    found = PUBLIC.fullmatch(told.lower())
    if found is None or (found[4] and not 0 < int(found[4]) < 65536):
        return False
    number = _number(found[1].strip("[]"))
    if number is None:
        return not found[1].startswith("[")
    return not number.is_unspecified
