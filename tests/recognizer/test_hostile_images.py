"""`wumu recognize` over a folder of broken, odd and hostile pictures, in a process of its own."""

import json
from pathlib import Path

import pytest

from benchmarks.hostile_images import Outcome, build, run
from recognizer.decode import decode
from recognizer.fault import InputFault
from recognizer.reasons import InputReason
from tests.support.model import Trained

COUNT = 100
GROWTH_MIB = 512


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of every kind that is written here, crafted and mutated."""
    place: Path = tmp_path_factory.mktemp("hostile") / "pictures"
    assert build(place, COUNT) >= 250
    return place


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("workers", [0, 2])
def test_hundreds_of_hostile_pictures_end_in_a_line_each(digits_model: Trained, folder: Path, workers: int) -> None:
    """No crash, no hang (the run has a limit), little memory; nobody is left without a reason."""
    found: Outcome = run(digits_model.folder, folder, workers)
    assert found.returncode == 1, found.stderr
    assert found.lines == found.pictures
    assert found.growth_mib < GROWTH_MIB
    assert set(found.reasons) <= {*InputReason, "recognised"}
    assert not {InputReason.UNSPECIFIED, InputReason.IMAGE_DECODER_DIED} & set(found.reasons), json.dumps(found.reasons)


def test_a_file_that_is_whole_is_never_refused_for_a_name(folder: Path) -> None:
    """The odd names in the folder hold a good picture, which is what is decoded."""
    good = (folder / "rgb.jpg").read_bytes()
    names = [path for path in folder.iterdir() if path.is_file() and not path.is_symlink()]
    same = [path for path in names if path.stat().st_size == len(good) and path.read_bytes() == good]
    assert len(same) >= 15
    assert {decode(path.read_bytes(), str(path)).shape for path in same} == {(96, 120, 3)}


def test_the_mutations_reach_the_decoders(folder: Path) -> None:
    """A folder whose files all fail at their first byte would prove nothing."""
    outcomes: dict[str, int] = {}
    for path in sorted(folder.glob("0*")):
        try:
            decode(path.read_bytes(), path.name)
            outcomes["decoded"] = outcomes.get("decoded", 0) + 1
        except InputFault as fault:
            outcomes[fault.reason] = outcomes.get(fault.reason, 0) + 1
    assert outcomes["decoded"] >= 10
    assert outcomes["image_corrupt"] >= 10
    assert outcomes["image_truncated"] >= 10
