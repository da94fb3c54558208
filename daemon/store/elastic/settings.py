"""The parameters of the Elasticsearch store."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from daemon.secrets import SecretSource

Prefix = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=100)]


class ElasticSettings(BaseModel):
    """Where the cluster is, how to be let in, and how hard to push.

    One index a day (UTC, by event time) is kept: ``<prefix>-YYYY.MM.dd``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    urls: Annotated[tuple[str, ...], Field(min_length=1, description="http(s)://host:port of one or more nodes")]
    username: str | None = Field(default=None, description="user of basic authentication; its password lies apart")
    password: SecretSource | None = Field(default=None, description="where the user's password lies")
    api_key: SecretSource | None = Field(default=None, description="where the encoded API key lies, instead of a user")
    ca_certs: Path | None = Field(default=None, description="PEM file of the authority that signed the certificates")
    verify_certs: bool = Field(default=True, description="false accepts any certificate: for a trial only")
    prefix: Prefix = Field(default="wumu", description="the first part of the index names")
    timeout_s: float = Field(default=30, gt=0, le=600, description="longest wait for one answer, seconds")
    connections: int = Field(default=2, ge=1, le=64, description="bulk requests in flight at once")
    bulk_lines: int = Field(default=2_000, ge=1, le=100_000, description="events in one bulk request")
    bulk_bytes: int = Field(default=8 * 1024 * 1024, ge=1_024, description="longest bulk request, bytes")
    attempts: int = Field(default=6, ge=1, le=100, description="how often one bulk is tried before the ingest waits")
    backoff_s: float = Field(default=0.2, ge=0, le=60, description="first pause between them, seconds; it doubles")
    refresh_on_append: bool = Field(
        default=False, description="make events visible at once; costs speed, meant for tests and small imports"
    )

    @field_validator("urls", mode="after")
    @classmethod
    def _plain_urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError("an address must look like https://host:9200")
            if "@" in parts.netloc:
                raise ValueError("a user and password do not belong in the address; use username and password")
            if parts.query or parts.fragment:
                raise ValueError("an address ends with the port or a path, without ? and #")
        return urls

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.api_key is not None and (self.username is not None or self.password is not None):
            raise ValueError("give either api_key or username and password")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        return self
