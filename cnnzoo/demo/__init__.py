"""A page in the browser: draw a digit, see the answer, and how the network came to it.

    networks.py         what one can choose among
    uploads.py          bytes that a browser sent to a picture, safely
    answers.py          what a network says about a picture, and its feature maps
    windows.py          one pixel of a feature map: kernel, pool window, the one that won
    receptive_field.py  which part of the picture such a pixel looks at
    packing.py          arrays inside JSON
    guard.py            who may ask, and how much may be sent
    server.py           the questions and the page, as one Starlette application
    serving.py          that application on a port of this machine
    static/             the page: HTML, CSS and JavaScript without a build step

Starlette and uvicorn come with ``pip install 'cnnzoo[demo]'``; the files above `guard` do not need
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnzoo.lazy import lazy_names

if TYPE_CHECKING:
    from cnnzoo.demo.networks import Network as Network
    from cnnzoo.demo.networks import bundled as bundled
    from cnnzoo.demo.networks import from_run as from_run
    from cnnzoo.demo.server import create_app as create_app
    from cnnzoo.demo.serving import serve as serve

_HOME = {
    "Network": "cnnzoo.demo.networks",
    "bundled": "cnnzoo.demo.networks",
    "create_app": "cnnzoo.demo.server",
    "from_run": "cnnzoo.demo.networks",
    "serve": "cnnzoo.demo.serving",
}
__all__ = list(_HOME)

_find = lazy_names(__name__, _HOME)


def __getattr__(name: str) -> Any:
    return _find(name)
