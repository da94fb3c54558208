"""The taxonomy of paths and files, row by row on real files: each input ends in exactly one primary reason."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from recognizer.diagnose import of_content
from recognizer.reasons import DISK_REASONS, PATH_REASONS
from recognizer.reasons import InputReason as Reason
from tests.support.path_rows import ROWS, reason_of, tree

ELSEWHERE = {
    Reason.PATH_CONTROL_CHARACTER,  # an escape sequence: test_paths
    Reason.PATH_NON_ASCII_ON_WINDOWS,  # P2: below, with the platform as an argument
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with tree(tmp_path) as root:
        yield root


@pytest.mark.parametrize(("path", "reason"), [pytest.param(path, reason, id=row) for row, path, reason in ROWS])
def test_each_row_has_its_primary_reason(folder: Path, path: object, reason: Reason) -> None:
    assert reason_of(folder, path, reason) == reason


def test_no_reason_of_a_path_is_left_out() -> None:
    assert {reason for _, _, reason in ROWS} | ELSEWHERE >= PATH_REASONS | DISK_REASONS


def test_p2_on_windows_the_name_is_what_keeps_opencv_from_a_good_file(folder: Path) -> None:
    assert of_content(f"{folder}/百灵.png", platform="nt") == Reason.PATH_NON_ASCII_ON_WINDOWS
    assert of_content(f"{folder}/bai.png", platform="nt") == Reason.IMAGE_CORRUPT
