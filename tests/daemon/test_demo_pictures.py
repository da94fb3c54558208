"""The demo's pictures are what their records say: read for real, one by one."""

from pathlib import Path

from daemon.demo.pictures import write_pictures
from recognizer.decode import read
from recognizer.fault import InputFault
from recognizer.reasons import InputReason


def outcome(path: str) -> tuple[InputReason | None, tuple[InputReason, ...]]:
    """The reason of the fault, or the issues of the picture."""
    try:
        return None, read(path).issues
    except InputFault as fault:
        return fault.reason, ()


def test_each_picture_has_the_fault_its_record_states_and_no_other(tmp_path: Path) -> None:
    records = write_pictures(tmp_path, seed=5, count=12)
    for record in records:
        reason, issues = outcome(record.path)
        assert (record.path, reason) == (record.path, record.reason)
        assert (record.path, issues) == (record.path, () if record.issue is None else (record.issue,))
    assert len(records) == 12 + 10
    assert {Path(record.path).relative_to(tmp_path).parts[0] for record in records} == {"camera", "upload", "archive"}


def test_the_clean_file_stands_beside_each_path_with_an_invisible_character(tmp_path: Path) -> None:
    records = write_pictures(tmp_path, count=3)
    spoilt = [record.path for record in records if record.reason == InputReason.PATH_INVISIBLE_CHARACTER]
    assert len(spoilt) == 3
    assert all(read(path.removesuffix("\u200b")).shape == (200, 200, 3) for path in spoilt)


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write_pictures(tmp_path / name, seed=1, count=4) for name in "ab")
    for one, other in zip(first, second, strict=True):
        if one.reason is None:
            assert Path(one.path).read_bytes() == Path(other.path).read_bytes()
    assert [one.label for one in first] == [other.label for other in second]
