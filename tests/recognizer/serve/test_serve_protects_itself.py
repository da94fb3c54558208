"""The service against those who would hold it up: heads that trickle in, pictures that kill their decoder."""

import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from recognizer.decode_worker import DecodeWorkers
from recognizer.device.lane import Lane
from recognizer.pipeline import Recognizer
from recognizer.serve.settings import Settings
from recognizer.sinks import MemorySink
from tests.support.devices import Mortal
from tests.support.emission import until
from tests.support.model import Trained
from tests.support.networks import Brightness, model_of
from tests.support.pictures import colours, encoded
from tests.support.serving import serving, serving_command

TIMEOUT = 30
HEAD_SECONDS = 1.0
HEAD = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
SLOWER_THAN_ALLOWED = b"X-A: b\r\n" * 100_000


@pytest.fixture
def url(digits_model: Trained, sink: MemorySink) -> Iterator[str]:
    with serving(
        Recognizer.load(digits_model.folder, "cpu"), Settings(head_seconds=HEAD_SECONDS, paths=True)
    ) as address:
        yield address


def connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), TIMEOUT)


def trickle(connection: socket.socket, data: bytes) -> bytes:
    """Send a byte every tenth of the time allowed, until something is answered; the answer."""
    for byte in data:
        connection.settimeout(HEAD_SECONDS / 10)
        try:
            return connection.recv(4_096)
        except TimeoutError:
            connection.sendall(bytes([byte]))
    raise AssertionError("every byte was taken and nothing said")


def test_a_head_that_trickles_in_is_cut_off(url: str) -> None:
    with connected(url) as connection:
        began = time.monotonic()
        connection.sendall(HEAD)
        assert trickle(connection, SLOWER_THAN_ALLOWED).startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began >= HEAD_SECONDS
        connection.settimeout(TIMEOUT)
        assert connection.recv(4_096) == b""


def test_a_connection_that_says_nothing_is_cut_off(url: str) -> None:
    with connected(url) as connection:
        assert connection.recv(4_096).startswith(b"HTTP/1.1 408 ")
        assert connection.recv(4_096) == b""


def test_a_further_request_on_a_connection_has_the_same_time(url: str) -> None:
    """The first is answered, and its time does not count for the second, which trickles."""
    parts = urlsplit(url)
    with closing(HTTPConnection(str(parts.hostname), parts.port, timeout=TIMEOUT)) as connection:
        for _ in range(3):
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (200, True)
        connection.sock.sendall(HEAD)
        assert trickle(connection.sock, SLOWER_THAN_ALLOWED).startswith(b"HTTP/1.1 408 ")


def test_a_long_answer_or_a_body_is_not_the_head(url: str) -> None:
    """A body may take longer than a head."""
    kind = b"POST /recognize HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n"
    with connected(url) as connection:
        connection.sendall(kind)
        for byte in b'{"path": "/nowhere"}':
            connection.settimeout(HEAD_SECONDS / 10)
            with pytest.raises(TimeoutError):
                connection.recv(4_096)
            connection.sendall(bytes([byte]))
        connection.settimeout(TIMEOUT)
        assert connection.recv(4_096).startswith(b"HTTP/1.1 404 ")


def test_many_that_trickle_keep_nobody_out_and_none_stays(url: str, digit: bytes) -> None:
    slow = [connected(url) for _ in range(100)]
    try:
        for connection in slow:
            connection.sendall(HEAD)
        answer = requests.post(f"{url}/recognize", files={"image": ("7.png", digit)}, timeout=TIMEOUT)
        assert answer.status_code == 200
        for connection in slow:
            assert connection.recv(4_096).startswith(b"HTTP/1.1 408 ")
    finally:
        for connection in slow:
            connection.close()


POST = b"POST /recognize HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Content-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_body_that_nobody_reads_is_cut_off_too(digits_model: Trained, sink: MemorySink) -> None:
    """It is refused by its head, and then its bytes trickle: the connection does not stay for ever."""
    settings = Settings(body_seconds=HEAD_SECONDS)
    with serving(Recognizer.load(digits_model.folder, "cpu"), settings) as url, connected(url) as connection:
        connection.sendall(CHUNKED % b"text/plain")
        answer = b""
        while not answer.endswith(b"}\n"):
            answer += connection.recv(4_096)
        assert answer.startswith(b"HTTP/1.1 415 ")
        with contextlib.suppress(ConnectionError):
            assert trickle(connection, b"1\r\na\r\n" * 10_000) == b""
        until(lambda: 'wumu_cut_off_total{why="slow_body"} 1' in requests.get(f"{url}/metrics", timeout=TIMEOUT).text)


BROKEN = (
    (b"\x1b[31mNONSENSE\r\n\r\n",),
    (CHUNKED % b"text/plain", b"zz\x1b[31m\r\n"),
    (CHUNKED % b"image/png", b"zz\x1b[31m\r\n"),
    (POST + b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 9\r\n\r\n--bX\x1b[31m",),
    (POST + b"Content-Type: image/png\r\nContent-Length: 3\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nabc",),
)


def test_broken_requests_write_nothing_raw_on_stderr(digits_model: Trained, digit: bytes) -> None:
    """They are counted or have their event; the service goes on."""
    with serving_command("--model", str(digits_model.folder)) as (url, process):
        for parts in BROKEN:
            with connected(url) as connection:
                connection.settimeout(HEAD_SECONDS)
                for part in parts:
                    connection.sendall(part)
                    with contextlib.suppress(TimeoutError):
                        connection.recv(4_096)
        answer = requests.post(f"{url}/recognize", files={"image": ("7.png", digit)}, timeout=TIMEOUT)
        assert answer.status_code == 200
        assert 'wumu_cut_off_total{why="invalid_http"} 3' in requests.get(f"{url}/metrics", timeout=TIMEOUT).text
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 0
        assert process.stderr is not None
        said = process.stderr.read()
    assert [line for line in said.splitlines() if not line.startswith("wumu: ")] == []


def test_a_picture_that_kills_its_decoder_is_answered_and_harms_no_other(
    digits_model: Trained, sink: MemorySink, digit: bytes
) -> None:
    recognizer = Recognizer.load(digits_model.folder, "cpu")
    with (
        DecodeWorkers(2, decoder="tests.support.killers:decode") as workers,
        serving(recognizer, Settings(), workers.decode) as url,
    ):
        found = [
            requests.post(f"{url}/recognize", files={"image": ("a.png", data)}, timeout=TIMEOUT)
            for data in (b"SEGFAULT", digit, b"KILLED", digit)
        ]
        assert [(one.status_code, one.json().get("reason")) for one in found] == [
            (422, "image_decoder_died"),
            (200, None),
            (422, "image_decoder_died"),
            (200, None),
        ]
        assert workers.deaths == 4
    until(lambda: [event for event in sink.events if event.get("reason") == "image_decoder_died"] != [])


def test_the_command_decodes_in_other_processes_and_takes_them_along(digits_model: Trained, digit: bytes) -> None:
    options = ("--model", str(digits_model.folder), "--decode-workers", "2")
    with serving_command(*options) as (url, process):
        answer = requests.post(f"{url}/recognize", files={"image": ("7.png", digit)}, timeout=TIMEOUT)
        assert (answer.status_code, answer.json()["status"]) == (200, "success")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        workers = [Path(f"/proc/{child}") for child in children]
        assert any(b"recognizer.decode_child" in (worker / "cmdline").read_bytes() for worker in workers)
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 0
        assert not any(worker.exists() for worker in workers)


def test_a_device_that_died_is_seen_from_outside() -> None:
    """Whoever watches /healthz starts the service anew; until then callers hear it at once."""
    recognizer, driver = Recognizer(model_of(Brightness())), Mortal()
    recognizer._lane = Lane(recognizer._model, driver, largest=4)
    picture = {"image": ("a.png", encoded(colours(8, 8), "PNG"))}
    with serving(recognizer, Settings()) as url:
        assert requests.post(f"{url}/recognize", files=picture, timeout=TIMEOUT).status_code == 200
        assert requests.get(f"{url}/healthz", timeout=TIMEOUT).status_code == 200
        driver.dead = True
        first = requests.post(f"{url}/recognize", files=picture, timeout=TIMEOUT)
        assert (first.status_code, first.json()["reason"]) == (503, "model_device_lost")
        assert requests.get(f"{url}/healthz", timeout=TIMEOUT).status_code == 503
        later = requests.post(f"{url}/recognize", files=picture, timeout=TIMEOUT)
        assert (later.status_code, "started anew" in later.json()["error"]) == (503, True)
