"""The server's questions and answers: what it says, and what it refuses."""

import base64
import json

import numpy as np
import pytest
from drawn_pictures import SEVEN, THREE, drawn, png
from PIL import Image
from starlette.testclient import TestClient

from cnnzoo.demo import create_app, from_run
from cnnzoo.demo.server import MAX_PICTURE, MAX_QUESTION
from cnnzoo.errors import CnnzooError
from cnnzoo.model_file import save
from cnnzoo.prediction import predict
from cnnzoo.registry import build

HERE = "http://127.0.0.1:8000"


@pytest.fixture
def client(networks):
    return TestClient(create_app(networks), base_url=HERE)


def ask(client, body, **query):
    response = client.post("/api/answer", content=body, params=query)
    assert response.status_code == 200
    return response.json()


def array(packed, dtype):
    return np.frombuffer(base64.b64decode(packed["data"]), dtype).reshape(packed["shape"])


@pytest.mark.parametrize(("points", "label"), [(THREE, "3"), (SEVEN, "7")])
def test_a_drawing_is_answered(client, networks, points, label):
    found = ask(client, png(drawn(points)), drawn=1)
    assert found["label"] == label
    assert [name for name, _ in found["probabilities"]] == list("0123456789")
    assert sum(number for _, number in found["probabilities"]) == pytest.approx(1)
    # The same as the library says to the picture that the page shows.
    seen = array(found["seen"], np.uint8)
    again = predict(networks[0].model, seen)
    assert again.probability == pytest.approx(found["probability"])
    assert [stage["name"] for stage in found["stages"]] == ["conv1", "conv2"]
    for stage in found["stages"]:
        maps = array(stage["maps"], "<f4")
        assert maps.shape[0] == 32
        assert maps.max() == pytest.approx(stage["top"])
        assert maps.max() > 0


def test_repairs_are_named_and_can_be_left_out(client):
    photo = png(drawn(SEVEN, ink="black", ground="white"), "jpeg")
    found = ask(client, photo)
    fixed = {each["name"] for each in found["warnings"] if each["fixed"]}
    assert "inverted" in fixed
    assert found["label"] == "7"
    assert array(found["before"], np.uint8).mean() > 128 > array(found["seen"], np.uint8).mean()
    raw = ask(client, photo, repair=0)
    assert raw["before"] is None
    assert not any(each["fixed"] for each in raw["warnings"])
    assert array(raw["seen"], np.uint8).mean() > 128


def test_that_a_canvas_has_colours_is_not_worth_a_word(client):
    def names(**query):
        return {each["name"] for each in ask(client, png(drawn(SEVEN)), **query)["warnings"]}

    assert "wrong_mode" in names()
    assert "wrong_mode" not in names(drawn=1)


def test_every_network_can_be_chosen(client, networks):
    listed = client.get("/api/networks").json()
    assert [each["name"] for each in listed["networks"]] == [each.name for each in networks]
    for each in listed["networks"]:
        found = ask(client, png(drawn(SEVEN)), network=each["name"])
        assert [name for name, _ in found["probabilities"]] == each["classes"]
        for stage in each["stages"]:
            question = {"network": each["name"], "stage": stage["name"], "map": 0}
            question["seen"] = found["seen"]["data"]
            taken = client.post("/api/window", json=question).json()
            assert np.shape(taken["kernel"])[1:] == tuple(stage["layer"]["kernel"])
            assert taken["picture_box"] is not None


def test_a_run_of_ones_own(tmp_path, networks):
    model = build("resnet20", image_size=28, in_channels=1)  # stages that are no single layer
    save(model.eval(), tmp_path / "mine.safetensors", preprocessing=networks[0].preprocessing)
    mine = from_run(tmp_path / "mine.safetensors")
    client = TestClient(create_app([mine, *networks]), base_url=HERE)
    listed = client.get("/api/networks").json()["networks"][0]
    assert listed["name"] == "mine"
    assert {stage["layer"] for stage in listed["stages"]} == {None}
    found = ask(client, png(drawn(SEVEN)))
    assert len(found["stages"]) == len(listed["stages"]) > 2
    question = {"stage": listed["stages"][0]["name"], "map": 0, "seen": found["seen"]["data"]}
    assert "only its maps" in client.post("/api/window", json=question).json()["error"]


def test_networks_of_one_name_are_refused(networks):
    with pytest.raises(CnnzooError, match="different names"):
        create_app([networks[0], networks[0]])
    with pytest.raises(CnnzooError, match="got none"):
        create_app([])


@pytest.mark.parametrize(
    ("body", "query", "words"),
    [
        (png(Image.new("RGBA", (280, 280), "black")), {"drawn": 1}, "nothing to see yet"),
        (b"", {}, "nothing arrived"),
        (b"text", {}, "not a picture"),
        (b"x" * (MAX_PICTURE + 1), {}, "too large: more than 20 MB"),
        (png(drawn(SEVEN)), {"network": "mnist_cn-mnist"}, 'Did you mean "mnist_cnn-mnist"'),
    ],
    ids=["empty drawing", "no bytes", "text", "too large", "no such network"],
)
def test_a_bad_picture_is_a_sentence_and_the_page_goes_on(client, body, query, words):
    found = ask(client, body, **query)
    assert list(found) == ["error"]
    assert words in found["error"]
    assert ask(client, png(drawn(SEVEN)))["label"] == "7"


GOOD = base64.b64encode(bytes(784)).decode()


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (b"{", "Expected a JSON object"),
        (b"[" * 100_000, "Expected a JSON object"),
        (b"[]", "Expected a JSON object"),
        (b"\xff", "Expected a JSON object"),
        (b" " * (MAX_QUESTION + 1), "question is too large"),
        ({}, "784 bytes; got 0"),
        ({"seen": "AAAA"}, "784 bytes; got 3"),
        ({"seen": "ä"}, "784 bytes; got 0"),
        ({"seen": GOOD}, 'no stage "None"'),
        ({"seen": GOOD, "network": {}}, "There is no network"),
        ({"seen": GOOD, "stage": "conv1"}, "map is a whole number"),
        ({"seen": GOOD, "stage": "conv1", "map": 1e9}, "map is a whole number"),
        ({"seen": GOOD, "stage": "conv1", "map": 32}, "from 0 to 31"),
        ({"seen": GOOD, "stage": "conv1", "map": 0, "row": 13, "column": 0}, "row is a whole"),
        ({"seen": GOOD, "stage": "conv1", "map": 0, "row": 1}, "column is a whole"),
    ],
)
def test_a_bad_question_is_a_sentence(client, question, words):
    body = question if isinstance(question, bytes) else json.dumps(question)
    response = client.post("/api/window", content=body)
    assert response.status_code == 200
    assert words in response.json()["error"]


def test_pages_and_headers(client):
    page = client.get("/")
    assert page.status_code == 200
    assert "Look into a network" in page.text
    for path in ("/favicon.ico", "/favicon.svg", "/main.js", "/style.css", "/api/networks"):
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "javascript" in client.get("/main.js").headers["content-type"]
    for path in ("/nothing", "/../server.py", "/%2e%2e/server.py", "/api/answer"):
        missing = client.get(path)
        assert missing.status_code == 404, path
        assert "There is no page" in missing.text


def test_nothing_on_the_page_comes_from_elsewhere(client):
    page = client.get("/").text + client.get("/style.css").text
    assert "//" not in page.replace("<!doctype", "")


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:8000", None, 200),
        ("localhost:8000", "http://localhost:8000", 200),
        ("[::1]:8000", "http://[::1]:8000", 200),
        ("LOCALHOST", None, 200),
        ("evil.example:8000", None, 403),  # a name made to point here
        ("127.0.0.1.evil.example", None, 403),
        ("192.168.1.7:8000", None, 403),
        ("", None, 403),
        ("127.0.0.1:8000", "http://evil.example", 403),  # another page in the same browser
        ("127.0.0.1:8000", "http://127.0.0.1:9999", 403),
        ("127.0.0.1:8000", "null", 403),
    ],
)
def test_only_its_own_page_may_ask(client, host, origin, status):
    headers = {"host": host} | ({"origin": origin} if origin else {})
    answer = client.get("/api/networks", headers=headers)
    assert answer.status_code == status
    assert "content-security-policy" in answer.headers


@pytest.mark.parametrize(
    ("host", "status"),
    [("192.168.1.7:8000", 200), ("[fe80::1]:8000", 200), ("localhost", 200), ("a.example", 403)],
)
def test_a_server_for_others_answers_to_addresses_but_not_to_names(networks, host, status):
    client = TestClient(create_app(networks, hosts=()), base_url=HERE)
    assert client.get("/", headers={"host": host}).status_code == status
