"""The service over real HTTP: answers, limits, back-pressure, hostile requests, and the events of each."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from recognizer.inspect import Limits
from recognizer.pipeline import Recognizer
from recognizer.serve.settings import Settings, proxies
from recognizer.sinks import MemorySink
from recognizer.source import Access
from tests.support.emission import until
from tests.support.model import Trained
from tests.support.serving import serving, serving_command

TIMEOUT = 30
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def root(tmp_path: Path, digit: bytes) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "数字.png").write_bytes(digit)
    (tmp_path / "outside.png").write_bytes(digit)
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "outside.png")
    return tmp_path / "in"


@pytest.fixture
def url(digits_model: Trained, root: Path, sink: MemorySink) -> Iterator[str]:
    limits = Limits(max_file_bytes=100_000)
    recognizer = Recognizer.load(digits_model.folder, "cpu", limits=limits, access=Access((str(root),)))
    settings = Settings(
        max_upload_bytes=100_000, paths=True, body_seconds=2.0, trusted_proxies=proxies(("127.0.0.0/8", "10.0.0.0/8"))
    )
    with serving(recognizer, settings) as address:
        yield address


def upload(url: str, data: bytes, name: str = "7.png", **headers: str) -> requests.Response:
    return requests.post(f"{url}/recognize", files={"image": (name, data)}, headers=headers, timeout=TIMEOUT)


def named(url: str, path: object) -> requests.Response:
    return requests.post(f"{url}/recognize", json={"path": path}, timeout=TIMEOUT)


def told(sink: MemorySink, request_id: str) -> list[dict[str, object]]:
    """The events of one request, once the last of them is written: just before the answer is sent."""
    return [event for event in sink.events if event.get("request_id") == request_id]


def test_an_upload_is_answered_and_told(url: str, sink: MemorySink, digit: bytes) -> None:
    answer = upload(url, digit, traceparent=f"00-{TRACE}-{SPAN}-01")
    document = answer.json()
    assert (answer.status_code, document["status"], document["low_confidence_filtered"]) == (200, "success", False)
    events = told(sink, document["request_id"])
    assert [event["event_type"] for event in events] == [
        "input_start",
        "input_success",
        "preprocess_complete",
        "inference_complete",
        "business_output",
    ]
    assert all(event["trace_id"] == TRACE and event["client_ip"] == "127.0.0.1" for event in events)
    assert all(event["file_path"] == "upload:7.png" for event in events)
    assert events[0]["file_size"] == len(digit)
    assert not {"path_issues", "image_issues"} & events[0].keys()
    last = events[-1]
    assert (last["http_status"], last["response_size"], last["status"]) == (200, len(answer.content), "success")


def test_a_path_below_the_root_is_answered(url: str, root: Path) -> None:
    assert named(url, str(root / "数字.png")).status_code == 200


@pytest.mark.parametrize(
    "path", ["{root}/../outside.png", "{root}/link.png", "/etc/passwd", "{root}/../../../etc/passwd"]
)
def test_no_path_leads_out_of_the_root(url: str, root: Path, sink: MemorySink, path: str) -> None:
    answer = named(url, path.format(root=root))
    assert (answer.status_code, answer.json()["reason"]) == (403, "path_outside_roots")
    assert told(sink, answer.json()["request_id"])[-1]["http_status"] == 403


def test_a_missing_file_is_404(url: str, root: Path) -> None:
    assert named(url, str(root / "gone.png")).status_code == 404


@pytest.mark.parametrize("path", [None, 7, ["a"], {"a": 1}])
def test_what_is_no_path_is_refused(url: str, path: object) -> None:
    assert named(url, path).status_code == 400


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 60_000, b"null", b'{"path": NaN}'])
def test_broken_json_is_refused(url: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert requests.post(f"{url}/recognize", data=body, headers=headers, timeout=TIMEOUT).status_code == 400


@pytest.mark.parametrize("page", ["healthz", "metrics"])
def test_a_watcher_may_ask_without_the_body(url: str, page: str) -> None:
    answer = requests.head(f"{url}/{page}", timeout=TIMEOUT)
    assert (answer.status_code, answer.content) == (200, b"")


def test_odd_but_valid_paths_do_no_harm(url: str, root: Path) -> None:
    for path in ("", "a\0b", "\ud800", "~", "http://169.254.169.254/", "x" * 10_000, f"{root}/\u202egnp.png"):
        assert named(url, path).status_code in {403, 404, 422}
    assert requests.get(f"{url}/healthz", timeout=TIMEOUT).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "a\u202egnp.png",
        "C:\\x.png",
        "'; rm -rf /.png",
        "百灵.png",
        "x" * 500,
        "a\r\nb.png",
        "<script>",
    ],
)
def test_hostile_file_names_are_only_names(url: str, sink: MemorySink, digit: bytes, name: str) -> None:
    """The name is never a path: the picture is recognised, its name stands in the events behind upload:."""
    answer = upload(url, digit, name)
    assert answer.status_code == 200
    events = told(sink, answer.json()["request_id"])
    assert all(str(event["file_path"]).startswith("upload:") and "/" not in str(event["file_path"]) for event in events)
    assert events[0]["file_size"] == len(digit)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + b"\0" * 60, os.urandom(500), b"<html>"])
def test_bad_pictures_are_422_with_their_reason(url: str, sink: MemorySink, data: bytes) -> None:
    answer = upload(url, data)
    assert answer.status_code == 422
    assert answer.json()["reason"]
    types = [event["event_type"] for event in told(sink, answer.json()["request_id"])]
    assert types == ["input_start", "input_error", "business_output"]


def test_an_oversize_upload_is_413(url: str, sink: MemorySink) -> None:
    answer = upload(url, b"\0" * 300_000)
    assert answer.status_code == 413
    assert sink.events[-1]["http_status"] == 413


def chunks() -> Iterator[bytes]:
    yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    for _ in range(100):
        yield b"\0" * 100_000


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=b", "image/png"])
def test_an_oversize_upload_of_unknown_length_is_413_and_says_so_in_whole(url: str, kind: str) -> None:
    """The answer comes through, though most of what was sent was not read before it."""
    answer = requests.post(f"{url}/recognize", data=chunks(), headers={"Content-Type": kind}, timeout=TIMEOUT)
    assert answer.status_code == 413
    assert "larger than the limit" in answer.json()["error"]
    assert answer.headers["Connection"] == "close"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"no boundary at all"),
        ("multipart/form-data; boundary=b", b"--b\r\n"),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b--\r\n'),
        ("multipart/form-data; boundary=b", b"--b--\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b; charset=nonsense", b"--b\r\n\xff: \r\n\r\n"),
        ("multipart/form-data; boundary=" + "b" * 10_000, b"--b--"),
    ],
)
def test_a_broken_multipart_is_refused(url: str, sink: MemorySink, kind: str, body: bytes) -> None:
    answer = requests.post(f"{url}/recognize", data=body, headers={"Content-Type": kind}, timeout=TIMEOUT)
    assert answer.status_code == 400
    assert sink.events[-1]["error"] == answer.json()["error"]


def several(url: str, *pictures: tuple[str, bytes]) -> requests.Response:
    return requests.post(f"{url}/recognize", files=[("image", one) for one in pictures], timeout=TIMEOUT)


def test_several_pictures_of_a_request_are_answered_as_a_list(url: str, sink: MemorySink, digit: bytes) -> None:
    """Each has its own status, reason and events; one that is broken fails alone."""
    answer = several(url, ("a.png", digit), ("b.png", b"<html>"), ("c.png", digit))
    documents = answer.json()
    assert answer.status_code == 200
    assert [one["http_status"] for one in documents] == [200, 422, 200]
    assert [one["file_path"] for one in documents] == ["upload:a.png", "upload:b.png", "upload:c.png"]
    assert [one.get("reason") for one in documents] == [None, "image_not_an_image", None]
    assert documents[0]["top1_label"] == documents[2]["top1_label"]
    for one in documents:
        events = told(sink, one["request_id"])
        assert {event["file_path"] for event in events} == {one["file_path"]}
        assert (events[0]["event_type"], events[-1]["event_type"]) == ("input_start", "business_output")
        assert events[-1]["http_status"] == one["http_status"]
    page = requests.get(f"{url}/metrics", timeout=TIMEOUT).text
    assert 'wumu_requests_total{status="200"} 1' in page
    assert 'wumu_failures_total{reason="image_not_an_image"} 1' in page


def test_all_pictures_of_a_request_together_keep_the_limits(url: str, digit: bytes) -> None:
    """Beyond the number it is 400, beyond the size 413: 60,000 bytes are well within it, twice that is not."""
    assert several(url, *[("a.png", b"")] * 65).status_code == 400
    assert several(url, ("a.png", b"\0" * 60_000), ("b.png", b"\0" * 60_000)).status_code == 413


def test_more_pictures_than_there_is_room_for_are_429_together(
    digits_model: Trained, sink: MemorySink, digit: bytes
) -> None:
    recognizer = Recognizer.load(digits_model.folder, "cpu")
    with serving(recognizer, Settings(max_waiting=3, body_seconds=25)) as url:
        assert len(several(url, *[("a.png", digit)] * 3).json()) == 3
        with begun(url):
            until(lambda: requests.get(f"{url}/healthz", timeout=TIMEOUT).json()["waiting"] == 1)
            assert several(url, *[("a.png", digit)] * 3).status_code == 429
            assert requests.get(f"{url}/healthz", timeout=TIMEOUT).json()["waiting"] == 1


def test_bodies_together_hold_no_more_than_allowed(digits_model: Trained, sink: MemorySink, digit: bytes) -> None:
    """While one caller's bytes fill the room another one is told to come back; then it is free again."""
    recognizer = Recognizer.load(digits_model.folder, "cpu")
    settings = Settings(max_upload_bytes=300_000, max_waiting_bytes=400_000, body_seconds=25)
    with serving(recognizer, settings) as url:
        with begun(url, length=300_000) as connection:
            part = b'Content-Disposition: form-data; name="a"; filename="a"\r\n\r\n' + b"\0" * 299_000
            connection.sendall(part)
            until(lambda: held(url) == len(b"--b\r\n" + part))
            assert upload(url, b"\0" * 200_000).status_code == 429
            assert upload(url, digit).status_code == 200
        until(lambda: held(url) == 0)
        assert upload(url, b"\0" * 200_000).status_code == 422


def held(url: str) -> int:
    page = requests.get(f"{url}/metrics", timeout=TIMEOUT).text
    return next(int(line.split()[1]) for line in page.splitlines() if line.startswith("wumu_waiting_bytes "))


@pytest.mark.parametrize("kind", ["image/png", "IMAGE/JPEG", "application/octet-stream"])
def test_a_bare_picture_is_answered(url: str, sink: MemorySink, digit: bytes, kind: str) -> None:
    answer = requests.post(f"{url}/recognize", data=digit, headers={"Content-Type": kind}, timeout=TIMEOUT)
    assert (answer.status_code, answer.json()["file_path"]) == (200, "upload:unnamed")
    assert told(sink, answer.json()["request_id"])[0]["file_size"] == len(digit)


def test_a_bare_picture_keeps_the_limit(url: str) -> None:
    headers = {"Content-Type": "image/png"}
    assert requests.post(f"{url}/recognize", data=b"", headers=headers, timeout=TIMEOUT).status_code == 422
    assert requests.post(f"{url}/recognize", data=b"\0" * 100_001, headers=headers, timeout=TIMEOUT).status_code == 413


@pytest.mark.parametrize("kind", ["text/plain", "video/mp4", ""])
def test_another_content_type_is_415(url: str, digit: bytes, kind: str) -> None:
    headers = {"Content-Type": kind}
    assert requests.post(f"{url}/recognize", data=digit, headers=headers, timeout=TIMEOUT).status_code == 415


def test_only_post_is_asked(url: str) -> None:
    assert requests.get(f"{url}/recognize", timeout=TIMEOUT).status_code == 405


def begun(url: str, length: int = 999) -> socket.socket:
    """A request of so many bytes that has begun and says no more."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), TIMEOUT)
    kind = "multipart/form-data; boundary=b"
    head = f"POST /recognize HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode() + b"--b\r\n")
    return connection


def test_a_slow_client_is_408(url: str) -> None:
    with begun(url) as connection:
        assert connection.recv(4_096).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_goes_away_leaves_its_place(url: str, sink: MemorySink) -> None:
    begun(url).close()
    until(lambda: bool(sink.lines) and sink.events[-1].get("http_status") == 499)
    assert requests.get(f"{url}/healthz", timeout=TIMEOUT).json()["waiting"] == 0


def test_the_caller_behind_trusted_proxies_is_told(url: str, sink: MemorySink, digit: bytes) -> None:
    """What the caller itself wrote, left of the first untrusted address, is not believed."""
    answer = upload(url, digit, **{"X-Forwarded-For": "6.6.6.6, 203.0.113.7, 10.0.0.3"})
    assert told(sink, answer.json()["request_id"])[-1]["client_ip"] == "203.0.113.7"


def test_many_callers_at_once_share_batches(url: str, sink: MemorySink, digit: bytes) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: upload(url, digit), range(64)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["request_id"] for answer in answers}) == 64
    assert len({answer.json()["top1_label"] for answer in answers}) == 1
    assert max(event.get("batch_size", 0) for event in sink.events) > 1
    page = requests.get(f"{url}/metrics", timeout=TIMEOUT).text
    assert 'wumu_requests_total{status="200"} 64' in page
    assert "wumu_request_seconds_count 64" in page
    assert "wumu_waiting_pictures 0" in page


def test_beyond_the_limit_it_says_429_and_when_to_come_back(
    digits_model: Trained, sink: MemorySink, digit: bytes
) -> None:
    recognizer = Recognizer.load(digits_model.folder, "cpu")
    with serving(recognizer, Settings(max_waiting=1, body_seconds=25)) as url:
        with begun(url):
            until(lambda: requests.get(f"{url}/healthz", timeout=TIMEOUT).json()["waiting"] == 1)
            answer = upload(url, digit)
            assert answer.status_code == 429
            assert int(answer.headers["Retry-After"]) >= 1
            assert sink.events[-1]["http_status"] == 429
        until(lambda: upload(url, digit).status_code == 200)


def test_paths_are_off_unless_allowed_and_low_scores_withheld(
    digits_model: Trained, sink: MemorySink, digit: bytes
) -> None:
    recognizer = Recognizer.load(digits_model.folder, "cpu", low_confidence=1.0)
    with serving(recognizer, Settings()) as url:
        assert named(url, "/etc/passwd").status_code == 403
        document = upload(url, digit).json()
    assert document["low_confidence_filtered"] is True
    assert "top1_label" not in document
    assert told(sink, document["request_id"])[-1]["low_confidence_filtered"] is True


def test_the_command_ends_with_0_when_asked_and_says_where_it_listens(
    digits_model: Trained, digit: bytes, tmp_path: Path
) -> None:
    log = tmp_path / "events.jsonl"
    with serving_command("--model", str(digits_model.folder), "--log", str(log)) as (url, process):
        assert upload(url, digit).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 0
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [event["event_type"] for event in events][-1] == "business_output"


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--port", "0"], 3, "no model was named"),
        (["--model", "/nowhere", "--port", "0"], 3, "there is no model"),
        (["--model", "/nowhere", "--trust", "nonsense"], 2, "nonsense"),
        (["--model", "/nowhere", "--host", "203.0.113.1"], 3, "can't listen"),
    ],
)
def test_a_wrong_call_is_one_clear_line(options: list[str], code: int, says: str) -> None:
    command = [sys.executable, "-m", "daemon.cli", "serve", *options]
    environment = {name: value for name, value in os.environ.items() if name != "WUMU_MODEL"}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == code
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
