"""Who may ask the server, and how much may be sent to it.

Any page in the browser can send requests to 127.0.0.1, and a hostile name can be made to point
there (DNS rebinding); so the Host header must be one of ours, and the Origin the same.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cnnzoo.errors import CnnzooError

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "Cache-Control": "no-cache",  # a newer cnnzoo, a newer page
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Lets pass what comes from the page itself, and puts the security headers on every answer.

    Args:
        app: what is guarded.
        hosts: names in the Host header that are ours, without a port. An empty collection: any IP
            address and localhost, for a server that others may reach; never another name, which is
            what rebinding needs.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()) -> None:
        self.app = app
        self.hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(Headers(scope=scope))
        app = PlainTextResponse(refusal, 403) if refusal else self.app
        await app(scope, receive, send_guarded)

    def _refusal(self, headers: Headers) -> str:
        host = headers.get("host", "")
        name = _name(host)
        if not self._ours(name):
            return f'"{name}" is not the name of this server: open the address it printed.'
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return f"Only its own page may ask this server, not {origin}."
        return ""

    def _ours(self, name: str) -> bool:
        if self.hosts:
            return name in self.hosts
        try:
            ip_address(name.strip("[]"))
        except ValueError:
            return name == "localhost"
        return True


def _name(host: str) -> str:
    """Drop the port: ``[::1]:8000`` → ``[::1]``."""
    head, colon, port = host.rpartition(":")
    return (head if colon and port.isdigit() else host).lower()


async def read_body(request: Request, limit: int, what: str) -> bytes:
    """Read the body, but keep no more than ``limit`` bytes of it.

    What is too much is read to its end all the same and dropped: a browser shows an answer only
    once it has sent everything.

    Raises:
        CnnzooError: the body is longer.
    """
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= limit:
            parts.append(part)
        else:
            parts.clear()
        if size > 10 * limit:
            break
    if size > limit:
        raise CnnzooError(
            f"This {what} is too large: more than {limit / 10**6:g} MB arrived. Make it smaller."
        )
    return b"".join(parts)
