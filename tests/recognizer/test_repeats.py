"""Pictures that came before under another name: by path, through the service, in a burst, with bounded memory."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

from recognizer.decode import Picture, decode
from recognizer.decode_worker import DecodeWorkers
from recognizer.inspect import Limits, Pixels
from recognizer.pipeline import Recognizer
from recognizer.reasons import InputReason
from recognizer.repeats import Repeats, likeness
from recognizer.serve.settings import Settings
from tests.support.model_files import PICTURE, WRITERS, network, write
from tests.support.pictures import encoded
from tests.support.serving import serving

AGAIN = InputReason.IMAGE_DUPLICATE
FRAME = encoded(PICTURE, "PNG")


@pytest.fixture
def recognizer(tmp_path: Path) -> Recognizer:
    return Recognizer.load(write(tmp_path / "model", WRITERS["safetensors"](network())), "cpu")


def frame(seed: int, height: int = 40, width: int = 30) -> Picture:
    pixels: Pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return decode(encoded(pixels, "PNG"), "a.png")


def is_marked(seen: Repeats, picture: Picture, name: str) -> bool:
    return seen.came_before(likeness(picture), name)


def test_the_same_bytes_under_the_same_name_are_a_request_made_twice() -> None:
    seen = Repeats()
    assert [is_marked(seen, frame(1), "a.png") for _ in range(3)] == [False, False, False]


def test_the_same_picture_under_another_name_is_marked_however_it_was_encoded() -> None:
    """And goes on being marked, while its first name stays its own."""
    seen = Repeats()
    names = ["1.png", "2.png", "2.png", "1.png", "3.png"]
    pictures = [decode(encoded(PICTURE, "PNG", compress_level=level), "a.png") for level in range(5)]
    found = [is_marked(seen, one, name) for one, name in zip(pictures, names, strict=True)]
    assert found == [False, True, True, False, True]


def test_pictures_of_other_pixels_or_another_shape_are_others() -> None:
    seen, tall = Repeats(), np.random.default_rng(5).integers(0, 256, (48, 24, 3), np.uint8)
    wide = np.ascontiguousarray(tall[::4]).reshape(6, 48, 3).repeat(4, axis=0)  # the rows that count are the same bytes
    one, other = (decode(encoded(pixels, "PNG"), "a.png") for pixels in (tall, wide))
    assert not is_marked(seen, one, "1")
    assert not is_marked(seen, other, "2")
    assert not is_marked(seen, frame(2), "3")


def test_one_colour_all_over_is_told_by_its_own_reason() -> None:
    seen = Repeats()
    black = decode(encoded(np.zeros((40, 40, 3), np.uint8), "PNG"), "a.png")
    assert not any(is_marked(seen, black, str(number)) for number in range(3))


def test_of_a_burst_all_but_one_are_marked() -> None:
    """Whichever thread comes first."""
    seen, picture = Repeats(), frame(3)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: is_marked(seen, picture, f"{number}.png"), range(400)))
    assert found.count(False) == 1


def test_memory_is_bounded_and_the_oldest_is_forgotten() -> None:
    """A name as long as one may be costs what a short one does."""
    seen, pictures = Repeats(remembered=10), [frame(seed) for seed in range(30)]
    for number, picture in enumerate(pictures):
        seen.came_before(likeness(picture), f"{number}" * 4_000)
        assert len(seen) == min(number + 1, 10)
    assert sum(sys.getsizeof(value) for pair in seen._names.items() for value in pair) < 10 * 2 * 64
    assert not is_marked(seen, pictures[0], "another")
    assert is_marked(seen, pictures[29], "another")


def test_what_is_seen_again_is_remembered_longer() -> None:
    """A frozen camera among thousands of others is still known."""
    seen, frozen = Repeats(remembered=3), frame(100)
    found = []
    for number in range(12):
        found.append(is_marked(seen, frozen, f"frozen-{number}"))
        seen.came_before(likeness(frame(number)), f"living-{number}")
        seen.came_before(likeness(frame(number + 50)), f"other-{number}")
    assert found == [False] + [True] * 11


@pytest.mark.parametrize("workers", [0, 1])
def test_files_are_marked_whoever_decodes_them(recognizer: Recognizer, tmp_path: Path, workers: int) -> None:
    """Also from one call of `recognize` to the next."""
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths:
        path.write_bytes(FRAME)
    if workers:
        with DecodeWorkers(workers) as processes:
            results = list(recognizer.recognize(paths, decoder=processes.decode))
    else:
        results = list(recognizer.recognize(paths))
    assert [AGAIN in one.image_issues for one in results] == [False, True, True]
    assert all(one.ok for one in results)
    (again,) = recognizer.recognize([paths[1]])
    assert AGAIN in again.image_issues


def test_the_first_of_the_input_is_the_original_whichever_is_read_first(recognizer: Recognizer, tmp_path: Path) -> None:
    """The first picture is decoded last: its thread waits until the other one has come to the last picture."""
    paths = [str(tmp_path / f"{number}.png") for number in range(6)]
    for path in paths:
        Path(path).write_bytes(FRAME)
    others_are_done = threading.Event()

    def last_first(data: bytes, name: str, limits: Limits, path_issues: tuple[InputReason, ...]) -> Picture:
        if name == paths[0]:
            assert others_are_done.wait(30)
        elif name == paths[-1]:
            others_are_done.set()
        return decode(data, name, limits, path_issues)

    results = list(recognizer.recognize(paths, workers=2, decoder=last_first))
    assert [AGAIN in one.image_issues for one in results] == [False] + [True] * 5


def test_uploads_are_marked_and_answered(recognizer: Recognizer) -> None:
    """By the very same memory: a picture that was uploaded and one that is read by path are compared too."""
    with serving(recognizer, Settings()) as url:

        def issues(name: str, data: bytes) -> list[str]:
            answer = requests.post(f"{url}/recognize", files={"image": (name, data)}, timeout=30)
            assert answer.status_code == 200
            found: list[str] = answer.json().get("image_issues") or []
            return found

        assert AGAIN not in issues("a.png", FRAME)
        assert AGAIN not in issues("a.png", FRAME)
        assert AGAIN in issues("b.png", FRAME)
        assert AGAIN not in issues("c.png", encoded(np.asarray(Image.fromarray(PICTURE).rotate(90)), "PNG"))
