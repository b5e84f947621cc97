"""Who may ask, and how much: names of this server, pages of other origins, requests a second."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from starlette.types import Scope

from ssna.core.errors import SsnaError
from ssna.serving.keys import OF_SCOPE
from ssna.serving.refusal import RequestError

ANY = "*"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
BURST_SECONDS = 2.0  # of requests that a client may send at once
CLIENTS = 2**16  # that are remembered, the latest ones
IPV6_NETWORK = 64  # bits of an address that one client has


@dataclass(frozen=True)
class Access:
    """What `ssna serve` was told of its clients.

    Attributes:
        hosts: names under which the server may be addressed; None: any.
        origins: of pages elsewhere that may read answers.
        rate: requests a second of one client; None: any number.
    """

    hosts: frozenset[str] | None = None
    origins: tuple[str, ...] = ()
    rate: float | None = None


def allowed_hosts(host: str, given: Sequence[str]) -> frozenset[str] | None:
    """The names that a server bound to ``host`` answers to: ``given``, the address itself and this machine's own.

    Raises:
        SsnaError: it is bound to every address, so its names must be given.
    """
    if ANY in given:
        return None
    if not given and is_wildcard(host):
        raise SsnaError(
            f"--host {host} is every address of this machine: name the ones that clients use with --allowed-host NAME, "
            "or take any with --allowed-host '*'"
        )
    return frozenset(_bare(name) for name in (*LOOPBACK, *given, *([] if is_wildcard(host) else [host])))


def is_wildcard(host: str) -> bool:
    """Whether ``host`` stands for all addresses."""
    try:
        return host == "" or ip_address(host).is_unspecified
    except ValueError:
        return False


def check_host(scope: Scope, hosts: frozenset[str] | None) -> None:
    """Raises :class:`RequestError` for a request to another server, such as a page elsewhere makes a browser send."""
    if hosts is None:
        return
    found = [value for name, value in scope["headers"] if name == b"host"]
    name = found[0].decode("latin-1") if len(found) == 1 else ""
    if _bare(name) not in hosts:
        raise RequestError(421, "wrong_host", f"this server is not called {name[:80]!r}; allow it with --allowed-host")


def _bare(name: str) -> str:
    """A name without its port, its brackets and its last dot."""
    if name.startswith("["):
        return name[1:].partition("]")[0].lower()
    return (name if name.count(":") > 1 else name.partition(":")[0]).rstrip(".").lower()


class RateLimit:
    """So many requests a second of each client, and ``BURST_SECONDS`` of them at once.

    Args:
        rate: requests a second.
        clock: seconds.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._free: OrderedDict[str, float] = OrderedDict()  # when all that a client sent would be worked off

    def check(self, client: str) -> None:
        """Count one request. Raises :class:`RequestError` if there were too many."""
        now = self._clock()
        wait = self._free.get(client, now) - now - max(BURST_SECONDS, 1 / self._rate) + 1 / self._rate
        if wait > 1e-9:
            message = f"more than {self._rate:g} requests a second; ask again in {wait:.2g} seconds"
            raise RequestError(429, "too_many_requests", message, {"Retry-After": str(math.ceil(wait))})
        self.charge(client, 1)

    def charge(self, client: str, requests: int) -> None:
        """Count requests that were let in already."""
        now = self._clock()
        self._free[client] = max(self._free.get(client, now), now) + requests / self._rate
        self._free.move_to_end(client)
        if len(self._free) > CLIENTS:
            self._free.popitem(last=False)


def client_of(scope: Scope) -> str:
    """Who asks: whoever has a key, or else an address, of IPv6 its network."""
    if (key := scope.get(OF_SCOPE)) is not None:
        return f"key {key.name}"
    host = (scope.get("client") or ("unknown",))[0]
    try:
        address = ip_address(host)
    except ValueError:
        return str(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(int(address) >> (128 - IPV6_NETWORK))
    return str(host)
