"""Pictures by address, where the owner allows them: no request of a client reaches what the client could not reach.

An address is resolved once, every result is checked, and the connection goes to the one that was checked, so that a
name can't change its mind in between. Redirects are followed by hand, each checked as the first. `Fetcher` bounds
bytes and seconds.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass

from seedx.serve.errors import ServeError

REDIRECTS = 3
CHUNK = 65_536
SAFE = "/?%:@!$&'()*+,;=~-._"  # what a path or a query may hold as it is
USER_AGENT = "seedx"
Resolve = Callable[[str, int], list[str]]


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a name."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet: no private, local, multicast or reserved one, also not
    written as an IPv6 address that holds it."""
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in ipaddress.ip_network("64:ff9b::/96"):  # NAT64
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not ip.is_unspecified


@dataclass(frozen=True)
class Fetcher:
    """
    Args:
        max_bytes: of a file.
        seconds: for all of a fetch, redirects included.
        resolve: a name -> its addresses.
    """

    max_bytes: int = 20_000_000
    seconds: float = 10
    resolve: Resolve = resolve

    def fetch(self, url: str) -> bytes:
        """
        Raises:
            ServeError: an address that is not allowed, or a file that can't be had within the bounds.
        """
        end = time.monotonic() + self.seconds
        for _ in range(REDIRECTS + 1):
            answer = self._get(url, end)
            if isinstance(answer, bytes):
                return answer
            url = urllib.parse.urljoin(url, answer)
        raise _refused(f"it redirects more than {REDIRECTS} times")

    def _get(self, url: str, end: float) -> bytes | str:
        """The file, or where it redirects to."""
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise _refused("addresses are http:// or https://, without a name and password")
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as error:
            raise _refused("its port is no number") from error
        connection = self._connect(parts.scheme, parts.hostname, port, end)
        path = urllib.parse.quote(parts.path or "/", safe=SAFE)
        if parts.query:
            path += f"?{urllib.parse.quote(parts.query, safe=SAFE)}"
        watchdog = threading.Timer(max(0.1, end - time.monotonic()), _hang_up, [connection])  # headers may drip in
        watchdog.start()
        try:
            connection.request("GET", path, headers={"User-Agent": USER_AGENT, "Accept": "image/*"})
            response = connection.getresponse()
            if response.status in (301, 302, 303, 307, 308):
                return response.headers.get("Location") or ""
            if response.status != 200:
                raise _refused(f"it was answered {response.status}")
            return self._read(response, end)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(error, ServeError):
                raise
            raise _refused(f"it can't be fetched ({type(error).__name__})") from error
        finally:
            watchdog.cancel()
            connection.close()

    def _connect(self, scheme: str, host: str, port: int, end: float) -> http.client.HTTPConnection:
        """A connection to the address that was checked; the certificate is that of the name."""
        left = max(0.1, end - time.monotonic())
        try:
            addresses = self.resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise _refused("its name can't be resolved") from error
        if not addresses or not all(is_public(address) for address in addresses):
            raise _refused("its host is not on the open internet")
        connection = http.client.HTTPConnection(host, port, timeout=left)
        try:
            plain = socket.create_connection((addresses[0], port), timeout=left)
            if scheme == "https":
                plain = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        except (OSError, ValueError) as error:
            raise _refused(f"it can't be reached ({type(error).__name__})") from error
        connection.sock = plain
        return connection

    def _read(self, response: http.client.HTTPResponse, end: float) -> bytes:
        data = bytearray()
        while chunk := response.read1(CHUNK):
            data += chunk
            if len(data) > self.max_bytes:
                raise _refused(f"it has more than {self.max_bytes:,} bytes")
            if time.monotonic() > end:
                raise _refused(f"it takes longer than {self.seconds:g} seconds")
        return bytes(data)


def _hang_up(connection: http.client.HTTPConnection) -> None:
    """End what waits for this connection."""
    with contextlib.suppress(OSError):
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)


def _refused(why: str) -> ServeError:
    return ServeError(f"the picture's address can't be used: {why}", 400, "invalid_image_url", "image_url")
