"""Decode workers: real processes, really killed by what they decode."""

import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from recognizer.decode import read
from recognizer.decode_worker import DecodeWorkers, WorkerFailed
from recognizer.fault import InputFault
from recognizer.inspect import Limits
from recognizer.reasons import InputReason as Reason
from recognizer.source import ANY_FILE
from tests.support.pictures import colours, encoded

PNG = encoded(colours(), "PNG")
KILLERS = "tests.support.killers:decode"


@pytest.fixture(scope="module")
def workers() -> Iterator[DecodeWorkers]:
    with DecodeWorkers(2, decoder=KILLERS, memory_bytes=1 << 36) as workers:
        yield workers


def fault_of(workers: DecodeWorkers, data: bytes) -> InputFault:
    with pytest.raises(InputFault) as caught:
        workers.decode(data, "a.png", Limits())
    return caught.value


def test_a_picture_comes_back_as_without_a_worker(workers: DecodeWorkers, tmp_path: Path) -> None:
    """Pixels and all that was found out; under a name that is no UTF-8."""
    name = os.fsencode(tmp_path) + "/百灵.jpg".encode("gbk")
    Path(os.fsdecode(name)).write_bytes(PNG)
    there, here = read(name, Limits(), ANY_FILE, workers.decode), read(name)
    assert np.array_equal(there.pixels, here.pixels)
    assert (there.format, there.shape, there.dtype, there.conversion) == (
        here.format, here.shape, here.dtype, here.conversion
    )  # fmt: skip
    assert there.issues == here.issues == (Reason.IMAGE_WRONG_EXTENSION,)
    assert there.path_issues == here.path_issues == (Reason.PATH_UNDECODABLE,)


def test_a_fault_comes_back_as_without_a_worker(workers: DecodeWorkers) -> None:
    assert fault_of(workers, PNG[:-20]).reason == Reason.IMAGE_TRUNCATED
    assert fault_of(workers, b"text").reason == Reason.IMAGE_NOT_AN_IMAGE
    assert fault_of(workers, b"").reason == Reason.FILE_EMPTY
    raised = fault_of(workers, b"RAISE")
    assert (raised.reason, raised.message) == (Reason.IMAGE_CORRUPT, "RuntimeError: ‹U+202E›never seen")
    assert fault_of(workers, b"MEMORY").reason == Reason.IMAGE_TOO_MANY_PIXELS


@pytest.mark.parametrize(("data", "how"), [(b"SEGFAULT", "SIGSEGV"), (b"KILLED", "SIGKILL")])
def test_a_decoder_that_dies_is_replaced_and_its_file_refused_from_then_on(
    workers: DecodeWorkers, data: bytes, how: str
) -> None:
    """It dies twice, the second time condemns the file; the third time nobody dies."""
    before = workers.deaths
    first = fault_of(workers, data)
    assert first.reason == Reason.IMAGE_DECODER_DIED
    assert how in first.message
    assert workers.deaths == before + 2
    assert workers.decode(PNG, "a.png", Limits()).shape == (60, 80, 3)
    again = fault_of(workers, data)
    assert (again.reason, workers.deaths) == (Reason.IMAGE_DECODER_DIED, before + 2)
    assert "quarantine" in again.message


def test_one_death_may_be_an_accident(workers: DecodeWorkers, tmp_path: Path) -> None:
    """The second attempt answers, so that the file is not condemned."""
    before = workers.deaths
    assert fault_of(workers, b"ONCE " + os.fsencode(tmp_path / "marker")).reason == Reason.FILE_EMPTY
    assert workers.deaths == before + 1


def test_a_decoder_that_stalls_is_ended(tmp_path: Path) -> None:
    with DecodeWorkers(decoder=KILLERS, time_limit_seconds=0.5) as workers:
        assert fault_of(workers, b"STALL").reason == Reason.IMAGE_DECODER_STALLED
        assert fault_of(workers, b"STALL").reason == Reason.IMAGE_DECODER_STALLED
        assert workers.deaths == 1


def test_threads_share_the_workers_while_some_die(workers: DecodeWorkers) -> None:
    """Every good picture is answered, every killer refused."""
    files = [PNG, b"SEGFAULT a", PNG, b"KILLED b", PNG, PNG, b"SEGFAULT c", PNG] * 2

    def reason(data: bytes) -> str:
        try:
            return workers.decode(data, "a.png", Limits()).format
        except InputFault as fault:
            return fault.reason

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(reason, files))
    assert found == ["png" if data is PNG else "image_decoder_died" for data in files]


def test_the_quarantine_outlives_the_process(tmp_path: Path) -> None:
    """Its folder holds what happened and a copy; the next process refuses the file without decoding it."""
    folder = tmp_path / "quarantine"
    with DecodeWorkers(decoder=KILLERS, quarantine=folder) as workers:
        fault_of(workers, b"SEGFAULT")
    record, copy = sorted(folder.iterdir(), key=lambda path: path.suffix, reverse=True)
    assert json.loads(record.read_bytes())["reason"] == Reason.IMAGE_DECODER_DIED
    assert copy.read_bytes() == b"SEGFAULT"
    assert copy.stat().st_mode & 0o077 == 0
    (folder / "broken.json").write_bytes(b"{")
    with DecodeWorkers(decoder=KILLERS, quarantine=folder) as workers:
        assert fault_of(workers, b"SEGFAULT").reason == Reason.IMAGE_DECODER_DIED
        assert workers.deaths == 0


def test_the_workers_end_with_their_owner() -> None:
    workers = DecodeWorkers(1, decoder=KILLERS)
    threads = threading.active_count()
    workers.decode(PNG, "a.png", Limits())
    (child,) = [one for one in workers._free.queue if one is not None]
    workers.close()
    assert child._process.returncode == 0
    assert threading.active_count() == threads


@pytest.mark.parametrize("decoder", ["no.such.module:decode", "recognizer.decode:nothing"])
def test_a_decoder_that_can_not_be_loaded_is_no_fault_of_a_picture(decoder: str) -> None:
    with pytest.raises(WorkerFailed, match=r"does not start: it ended with status 1; run `.*` to see why"):
        DecodeWorkers(decoder=decoder)
