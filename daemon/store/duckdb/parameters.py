"""What `store: {kind: duckdb}` may be told."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

_MEGABYTES = {"MB": 1, "MiB": 1, "GB": 1_000, "GiB": 1_024}
_SMALLEST_MB = 96
"""A thread that reads JSON takes 32 MiB, a group of rows of all columns some 25 MiB."""


class DuckDBParameters(BaseModel):
    """Where the embedded store keeps its file and how much it may take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = Field(default=None, description="the file; events.duckdb in the state directory when absent")
    memory_limit: str = Field(
        default="128MB",
        pattern=r"^[1-9][0-9]*(MB|MiB|GB|GiB)$",
        description="most memory the store may take, 96MB or more; larger answers spill to disk beside the file",
    )
    fold_events: int = Field(
        default=122_880,
        ge=1,
        description="so many new events are written to the table at once, unless they are asked for before",
    )
    threads: int = Field(
        default=1, ge=1, le=64, description="threads a query may use; each that loads events takes 32MB more"
    )
    wal_limit: str = Field(
        default="16MB",
        pattern=r"^[1-9][0-9]*(MB|MiB|GB|GiB)$",
        description="how large the write-ahead log grows before it is folded into the file",
    )

    @field_validator("memory_limit")
    @classmethod
    def _enough(cls, limit: str) -> str:
        number = limit.rstrip("MGiB")
        if int(number) * _MEGABYTES[limit.removeprefix(number)] < _SMALLEST_MB:
            raise ValueError(f"the store can't load events in less than {_SMALLEST_MB}MB")
        return limit
