"""``cnnzoo demo`` as a process: many clients, huge files, and what stops it from starting."""

import json
import socket
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner
from drawn_pictures import SEVEN, THREE, drawn, png

from cnnzoo.cli import main
from cnnzoo.demo import serving


def post(url, body):
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=60) as answer:
        return json.load(answer)


def test_twenty_clients_at_once_are_all_answered(address):
    url = f"{address}api/answer?drawn=1"
    bodies = [png(drawn(points)) for points in (THREE, SEVEN)]

    def answer(number):
        found = post(url, bodies[number % 2])
        del found["milliseconds"]
        return found

    alone = [answer(0), answer(1)]
    assert [found["label"] for found in alone] == ["3", "7"]
    with ThreadPoolExecutor(20) as clients:
        together = list(clients.map(answer, range(100)))
    # To the last bit of every feature map: nobody got a part of somebody else's answer.
    assert together == alone * 50


def test_a_file_of_50_mb_is_a_sentence_and_the_server_goes_on(address):
    found = post(f"{address}api/answer", bytes(50_000_000))
    assert "too large" in found["error"]
    assert post(f"{address}api/answer", png(drawn(SEVEN)))["label"] == "7"


def test_a_taken_port_is_a_sentence():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        shown = CliRunner().invoke(main, ["demo", "--no-open", "--port", str(port)])
    assert shown.exit_code == 2
    assert f"Cannot listen on 127.0.0.1, port {port}" in shown.output
    assert "Try another --port" in shown.output


def test_a_missing_extra_is_a_sentence(monkeypatch):
    monkeypatch.setattr(serving, "find_spec", lambda name: None)
    shown = CliRunner().invoke(main, ["demo", "--no-open"])
    assert shown.exit_code == 2
    assert "pip install 'cnnzoo[demo]'" in shown.output
    assert "starlette and uvicorn" in shown.output


@pytest.mark.parametrize("run", ["nowhere", "."])
def test_a_folder_without_a_model_is_a_sentence(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(main, ["demo", run, "--no-open"])
    assert shown.exit_code == 2
    assert "No model at" in shown.output


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("127.0.0.1", ("127.0.0.1", "localhost", "[::1]")),
        ("::1", ("127.0.0.1", "localhost", "[::1]")),
        ("0.0.0.0", ()),
        ("192.168.1.7", ()),
        ("Desk.local", ("127.0.0.1", "localhost", "[::1]", "desk.local")),
    ],
)
def test_who_listens_for_others_answers_to_more(host, names):
    assert serving._hosts(host) == names
