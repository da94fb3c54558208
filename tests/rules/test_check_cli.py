"""`wumu check` as people call it: its text byte for byte, its JSON, its exit codes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.cli.check import command
from tests.support.rules import CORPUS


def check(*arguments: str, given: bytes | None = None) -> Result:
    return CliRunner().invoke(command, arguments, input=given, catch_exceptions=False)


def test_a_file_with_many_problems_is_shown_as_in_the_transcript(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m daemon.cli.main check many_problems.yaml`, in the folder of the file, makes the transcript."""
    monkeypatch.chdir(CORPUS / "bad")
    result = check("many_problems.yaml")
    assert result.output == (CORPUS / "many_problems.txt").read_text(encoding="utf-8")
    assert result.exit_code == 1


def test_a_good_file_is_summed_up_in_one_line() -> None:
    path = str(CORPUS / "good" / "full.yaml")
    result = check(path)
    assert (result.output, result.exit_code) == (f"{path}: 2 rules, 2 channels, no problems\n", 0)


def test_a_warning_is_no_error() -> None:
    path = str(CORPUS / "bad" / "no_channel.yaml")
    result = check(path)
    assert result.output.endswith(f"{path}: 1 rule, 0 channels, 1 warning\n")
    assert result.exit_code == 0


def test_without_a_file_it_reads_alerts_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    missing = check()
    assert (missing.exit_code, "alerts.yaml:1:1: error: can't be read" in missing.output) == (2, True)
    (tmp_path / "alerts.yaml").write_bytes((CORPUS / "good" / "minimal.yaml").read_bytes())
    assert check().exit_code == 0


def test_a_dash_is_the_standard_input() -> None:
    result = check("-", given=b"version: 1\nrules: []\nrulez: []\n")
    assert "<stdin>:3:1: error: unknown key rulez" in result.output
    assert result.exit_code == 1


def test_several_files_are_checked_and_the_worst_decides() -> None:
    good, bad = str(CORPUS / "good" / "full.yaml"), str(CORPUS / "bad" / "unknown_key.yaml")
    result = check(good, bad)
    assert (f"{good}: 2 rules" in result.output, f"1 error in {bad}" in result.output) == (True, True)
    assert result.exit_code == 1
    assert check(bad, str(CORPUS / "none.yaml")).exit_code == 2


def test_json_names_every_problem() -> None:
    path = str(CORPUS / "bad" / "unknown_kind.yaml")
    result = check(path, "--json")
    (report,) = json.loads(result.output)
    assert (report["file"], report["ok"], report["rules"]) == (path, False, None)
    problem = report["problems"][0]
    assert (problem["code"], problem["line"], problem["column"], problem["hint"]) == (
        "unknown_kind",
        4,
        11,
        "did you mean count?",
    )
    assert result.exit_code == 1


def test_json_of_a_good_file_counts_its_rules() -> None:
    (report,) = json.loads(check(str(CORPUS / "good" / "full.yaml"), "--json").output)
    assert (report["ok"], report["rules"], report["problems"]) == (True, 2, [])


def test_a_secret_of_a_bad_file_is_never_printed() -> None:
    for name in ("secret_in_file", "secret_in_header", "many_problems"):
        for option in ([], ["--json"]):
            assert "hunter2" not in check(str(CORPUS / "bad" / f"{name}.yaml"), *option).output
