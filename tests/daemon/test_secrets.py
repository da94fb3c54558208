"""Secrets come from a file, a credential or the environment, and are shown nowhere."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from daemon.errors import ConfigError
from daemon.secrets import SecretSource

CANARY = "canary-4711"


def private(path: Path, content: bytes | str = CANARY, mode: int = 0o600) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


def test_each_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three places give the secret without its line break."""
    private(tmp_path / "smtp", CANARY + "\r\n", 0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("SMTP_PASSWORD", CANARY)
    for source in ({"file": tmp_path / "smtp"}, {"credential": "smtp"}, {"env": "SMTP_PASSWORD"}):
        assert SecretSource.model_validate(source).read() == CANARY


def test_a_rotated_secret_is_used_at_once(tmp_path: Path) -> None:
    """Nothing is remembered between two readings."""
    source = SecretSource(file=private(tmp_path / "s"))
    assert source.read() == CANARY
    private(tmp_path / "s", "new")
    assert source.read() == "new"


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o777])
def test_a_file_that_everybody_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """The message names the mode and the way out, not the secret."""
    with pytest.raises(ConfigError, match="open to every user") as caught:
        SecretSource(file=private(tmp_path / "s", mode=mode)).read()
    assert "chmod 600" in caught.value.hint
    assert CANARY not in f"{caught.value} {caught.value.hint}"


def test_a_group_may_read_it(tmp_path: Path) -> None:
    """root:wumu 0640 is a usual and safe arrangement."""
    assert SecretSource(file=private(tmp_path / "s", mode=0o640)).read() == CANARY


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * 70_000], ids=["empty", "blank", "binary", "huge"])
def test_unusable_content(tmp_path: Path, content: bytes) -> None:
    """Empty, binary and endless files are refused with a hint."""
    with pytest.raises(ConfigError) as caught:
        SecretSource(file=private(tmp_path / "s", content)).read()
    assert caught.value.hint
    assert caught.value.__cause__ is None


def test_what_is_no_file(tmp_path: Path) -> None:
    """A missing file, a folder and a pipe without a writer are told at once instead of hanging."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("missing", ".", "pipe"):
        with pytest.raises(ConfigError) as caught:
            SecretSource(file=tmp_path / name).read()
        assert caught.value.hint


def test_missing_variable_and_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unset variable and a start without systemd are told with what to do."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(ConfigError, match="NOT_SET is missing or empty"):
        SecretSource(env="NOT_SET").read()
    with pytest.raises(ConfigError) as caught:
        SecretSource(credential="smtp").read()
    assert "LoadCredential=smtp:" in caught.value.hint


@pytest.mark.parametrize(
    "wrong",
    [CANARY, {}, {"file": "/a", "env": "B"}, {"credential": "../etc/shadow"}, {"env": "A B"}, {"fiel": "/a"}, 4711],
)
def test_wrong_sources(wrong: object) -> None:
    """A literal secret, none, two places and names that climb out are refused, without repeating them."""
    with pytest.raises(ValidationError) as caught:
        SecretSource.model_validate(wrong)
    assert CANARY not in str(caught.value)


def test_printing_shows_the_place_only(tmp_path: Path) -> None:
    """repr and dump hold the path, never the content."""
    source = SecretSource(file=private(tmp_path / "s"))
    source.read()
    assert CANARY not in f"{source!r} {source} {source.model_dump()} {source.place}"
