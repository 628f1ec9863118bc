"""The application on a port of this machine, until Ctrl-C."""

from __future__ import annotations

import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from ipaddress import ip_address

from cnnzoo.demo.networks import Network
from cnnzoo.errors import CnnzooError

_EVERYWHERE = ("0.0.0.0", "::")
_WAITING = 64  # connections; more get a 503 instead of a queue without an end


def serve(
    networks: Sequence[Network],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    open_browser: bool = False,
    say: Callable[[str], object] = print,
) -> None:
    """Serve the page until Ctrl-C, and say where.

    Args:
        networks: what one can choose among; the first is shown at the start.
        host: address to listen on. The default is reached from this machine only.
        port: to listen on; 0 takes a free one.
        open_browser: open the page, too, where there is a screen.
        say: prints a line.

    Raises:
        CnnzooError: Starlette or uvicorn is missing, or the port is taken.
    """
    check_installed()
    import torch
    import uvicorn

    from cnnzoo.demo.server import create_app

    torch.set_num_threads(1)  # one small picture: more threads would wait for each other
    with _listen(host, port) as listener:
        address = f"http://{_shown(host)}:{listener.getsockname()[1]}/"
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(networks, hosts=_hosts(host)),
                log_level="warning",
                access_log=False,
                limit_concurrency=_WAITING,
                timeout_graceful_shutdown=2,  # seconds
            )
        )
        say(f"Open {address} in a browser. Ctrl-C ends it.")
        if host in _EVERYWHERE:
            say("Others on your network open it with this machine's address instead of 127.0.0.1.")
        if open_browser and _has_screen():
            threading.Timer(0.5, webbrowser.open, [address]).start()
        server.run(sockets=[listener])


def _shown(host: str) -> str:
    if host in _EVERYWHERE:
        return "127.0.0.1" if host == "0.0.0.0" else "[::1]"
    return f"[{host}]" if ":" in host else host


def _hosts(host: str) -> tuple[str, ...]:
    """Return the names that `create_app` is to answer to; none: localhost and any IP address."""
    from cnnzoo.demo.server import LOCAL

    if _shown(host) in LOCAL and host not in _EVERYWHERE:
        return LOCAL
    try:
        ip_address(host)
    except ValueError:
        return (*LOCAL, host.lower())
    return ()


def check_installed() -> None:
    """Raise a `CnnzooError` that says what to install, unless it is there."""
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise CnnzooError(
            f"The demo needs {' and '.join(missing)}: install them by pip install 'cnnzoo[demo]'."
        )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_WAITING)
    except OSError as error:
        raise CnnzooError(
            f"Cannot listen on {host}, port {port} ({error.strerror or error}). "
            "Try another --port, or --port 0 for any free one."
        ) from None


def _has_screen() -> bool:
    """Without one, `webbrowser` would start a text browser in this terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
