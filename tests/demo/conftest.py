"""What the tests of the demo share: networks, a server on a port of its own, a browser."""

import os
import re
import shutil
import subprocess
import sys
import threading

import pytest

from cnnzoo.demo import bundled


@pytest.fixture(scope="session")
def networks():
    return bundled()


@pytest.fixture(scope="session")
def address():
    """Where ``cnnzoo demo`` listens, started as a user does it."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "cnnzoo", "demo", "--port", "0", "--no-open"]
    server = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines = []
    try:
        for line in server.stdout:
            lines.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
                break
        else:
            pytest.fail(f"the server ended: {''.join(lines)}")
        threading.Thread(target=lambda: lines.extend(server.stdout), daemon=True).start()
        yield found[0]
    finally:
        server.terminate()
        server.wait(timeout=20)
    assert "Traceback" not in "".join(lines), "".join(lines)


@pytest.fixture(scope="module")  # while it is open, playwright keeps an event loop in this thread
def chromium():
    """A headless browser, or a skip that says what is missing."""
    required = os.environ.get("CNNZOO_REQUIRE_BROWSER") == "1"
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sync_playwright = None
    missing = [name for name, it in (("chromium", path), ("playwright", sync_playwright)) if not it]
    if missing:
        reason = f"needs {' and '.join(missing)}"
        pytest.fail(reason) if required else pytest.skip(reason)
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
        "--disable-background-networking --disable-component-update"
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags.split())
        yield browser
        browser.close()
