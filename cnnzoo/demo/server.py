"""The questions and the page, as one Starlette application.

    GET  /                 the page
    GET  /api/networks     what one can choose among
    POST /api/answer       body: a picture file; ?network=NAME&repair=1&drawn=0
    POST /api/window       body: JSON with network, seen, stage, map, and perhaps row and column

Expected mistakes are answered with status 200 and an ``error`` sentence: a browser reports every
other status as an error of its own. Networks run in a few threads; whoever comes then, waits.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any, TypeAlias

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from cnnzoo.demo.answers import answer
from cnnzoo.demo.guard import Guard, read_body
from cnnzoo.demo.networks import Network, choose
from cnnzoo.demo.packing import unpack_bytes
from cnnzoo.demo.uploads import picture_of
from cnnzoo.demo.windows import window
from cnnzoo.errors import CnnzooError

STATIC = Path(__file__).parent / "static"
LOCAL = ("127.0.0.1", "localhost", "[::1]")
MAX_PICTURE = 20_000_000  # bytes: the largest photos of phones
MAX_QUESTION = 2_000_000  # bytes of JSON: a picture of 224 pixels in colour, and more

Work: TypeAlias = Callable[[], Any]
Handler: TypeAlias = Callable[[Request], Awaitable[Work]]


def create_app(
    networks: Sequence[Network], *, hosts: Collection[str] = LOCAL, threads: int = 2
) -> Starlette:
    """Return the application.

    Args:
        networks: what one can choose among; the first is shown at the start.
        hosts: names it answers to, in the Host header; empty: localhost and any IP address.
        threads: how many questions are worked on at once.

    Raises:
        CnnzooError: no networks, or two of one name.
    """
    names = [network.name for network in networks]
    if not names or len(set(names)) != len(names):
        raise CnnzooError(
            f"Expected one network or more, of different names; got {', '.join(names) or 'none'}."
        )
    workers = ThreadPoolExecutor(threads, thread_name_prefix="cnnzoo-demo")

    def handled(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                work = await handler(request)
                found = await asyncio.get_running_loop().run_in_executor(workers, work)
            except CnnzooError as error:
                found = {"error": str(error)}
            return JSONResponse(found)

        return endpoint

    async def list_networks(request: Request) -> Response:
        return JSONResponse(
            {"networks": [_describe(each) for each in networks], "max_bytes": MAX_PICTURE}
        )

    async def ask_answer(request: Request) -> Work:
        body = await read_body(request, MAX_PICTURE, "picture")
        network = choose(networks, request.query_params.get("network"))
        repair = request.query_params.get("repair", "1") != "0"
        drawn = request.query_params.get("drawn", "0") != "0"

        def work() -> dict[str, Any]:
            start = perf_counter()
            found = answer(network, picture_of(body), repair=repair, drawn=drawn)
            return found | {"milliseconds": round(1000 * (perf_counter() - start), 1)}

        return work

    async def ask_window(request: Request) -> Work:
        question = _question(await read_body(request, MAX_QUESTION, "question"))
        network = choose(networks, question.get("network"))
        ready = network.preprocessing
        seen = unpack_bytes(question.get("seen"), (ready.channels, ready.height, ready.width))
        row, column = question.get("row"), question.get("column")
        place = None if row is None and column is None else (row, column)
        stage, index = question.get("stage"), question.get("map")
        return lambda: window(network, seen, str(stage), index, place)  # type: ignore[arg-type]

    routes = [
        Route("/api/networks", list_networks),
        Route("/api/answer", handled(ask_answer), methods=["POST"]),
        Route("/api/window", handled(ask_window), methods=["POST"]),
        Route("/favicon.ico", _favicon),
        Mount("/", StaticFiles(directory=STATIC, html=True)),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, hosts=hosts)],
        exception_handlers={404: _missing},
    )


def _describe(network: Network) -> dict[str, Any]:
    ready = network.preprocessing
    return {
        "name": network.name,
        "about": network.about,
        "classes": network.classes,
        "input": [ready.channels, ready.height, ready.width],
        # what black and white become, a pair a channel
        "scaled": [
            [-mean / std, (1 - mean) / std] for mean, std in zip(ready.mean, ready.std, strict=True)
        ],
        "stages": network.stages(),
    }


def _question(body: bytes) -> dict[str, Any]:
    try:
        question = json.loads(body)
    except (ValueError, RecursionError):
        question = None
    if not isinstance(question, dict):
        raise CnnzooError("Expected a JSON object with network, seen, stage and map.")
    return question


async def _favicon(request: Request) -> Response:
    return FileResponse(STATIC / "favicon.svg")


async def _missing(request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"There is no page {request.url.path}. The demo is at /.", 404)
