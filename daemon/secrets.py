"""Where a secret comes from. The secret itself is read when it is used and is kept nowhere."""

import os
import stat
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from daemon.errors import ConfigError

MAX_SECRET_BYTES = 64 * 1024
_SHAPE = "write {file: PATH}, {credential: NAME} (systemd LoadCredential) or {env: VARIABLE}"


class SecretSource(BaseModel):
    """Names the place of a secret: exactly one of a file, a systemd credential or an environment variable.

    Printing it shows the place, never the secret, because the secret is not in it. ``read`` looks it up anew each
    time, so a rotated secret is used without a restart.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    file: Path | None = Field(default=None, description="path of a file that only the daemon can read")
    credential: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_.@-]+$",
        description="name of a systemd credential (LoadCredential=, in $CREDENTIALS_DIRECTORY)",
    )
    env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="environment variable")

    @model_validator(mode="before")
    @classmethod
    def _no_literal(cls, value: Any) -> Any:
        if isinstance(value, (str, bytes, int, float)):
            raise PydanticCustomError("secret_in_file", f"a secret does not belong in this file; {_SHAPE}")
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(place is not None for place in (self.file, self.credential, self.env)) != 1:
            raise PydanticCustomError("secret_source", f"name exactly one place of the secret; {_SHAPE}")
        return self

    @property
    def place(self) -> str:
        """Where the secret lies, for messages."""
        if self.file is not None:
            return f"file {self.file}"
        if self.credential is not None:
            return f"systemd credential {self.credential}"
        return f"environment variable {self.env}"

    def read(self) -> str:
        """The secret without its trailing line break. Raises ConfigError with the way out when it can't be used."""
        if self.file is not None:
            text = _read_private(self.file, self.place)
        elif self.credential is not None:
            text = _read_private(self._credential_path(self.credential), self.place)
        else:
            text = os.environ.get(str(self.env), "")
        secret = text.rstrip("\r\n")
        if not secret:
            raise ConfigError(f"the secret in {self.place} is missing or empty", hint=f"set it, or {_SHAPE}")
        return secret

    def _credential_path(self, name: str) -> Path:
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise ConfigError(
                f"{self.place} can't be read: no credentials were passed to this process",
                hint=f"start wumu by its systemd unit with LoadCredential={name}:/path/of/the/secret",
            )
        return Path(folder, name)


def _read_private(path: Path, place: str) -> str:
    """The text of a file that no other user can read. The check is made on the opened file, not on its name."""
    try:
        # a FIFO without a writer would block the daemon for ever
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(
            f"the secret in {place} can't be read: {reason}",
            hint="check that it exists and that the daemon may read it",
        ) from error
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise ConfigError(f"the secret in {place} is not a regular file", hint="point to the file itself")
        if mode & stat.S_IRWXO:
            raise ConfigError(
                f"the secret in {place} is open to every user of this machine (mode {stat.S_IMODE(mode):04o})",
                hint=f"chmod 600 {path} and change the secret if others may have read it",
            )
        content = os.read(descriptor, MAX_SECRET_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_SECRET_BYTES:
        raise ConfigError(
            f"the secret in {place} is longer than {MAX_SECRET_BYTES} bytes", hint="is it the right file?"
        )
    try:
        return content.decode()
    except UnicodeDecodeError:
        # the exception itself holds the secret: it must not travel on
        raise ConfigError(
            f"the secret in {place} is not UTF-8 text", hint="store it as text, for example base64"
        ) from None
