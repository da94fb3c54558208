"""What `store: {kind: duckdb}` may be told."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class DuckDBParameters(BaseModel):
    """Where the embedded store keeps its file and how much it may take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = Field(default=None, description="the file; events.duckdb in the state directory when absent")
    memory_limit: str = Field(
        default="128MB",
        pattern=r"^[1-9][0-9]*(MB|MiB|GB|GiB)$",
        description="most memory the store may take; larger answers spill to disk beside the file",
    )
    threads: int = Field(default=2, ge=1, le=64, description="threads a query may use")
    wal_limit: str = Field(
        default="16MB",
        pattern=r"^[1-9][0-9]*(MB|MiB|GB|GiB)$",
        description="how large the write-ahead log grows before it is folded into the file",
    )
