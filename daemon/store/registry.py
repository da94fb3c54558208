"""The store kinds, by the name alerts.yaml uses.

Neither the parameters nor this module import a client library: only the store that is made loads its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from daemon.store.base import EventStore
from daemon.store.duckdb.parameters import DuckDBParameters
from daemon.store.elastic.settings import ElasticSettings

DEFAULT_KIND = "duckdb"


class MemoryParameters(BaseModel):
    """The store in memory has nothing to set. It forgets everything at the end of the process."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class StoreKind:
    """How a kind is configured and made. ``make`` takes its parameters and the daemon's state directory.

    Making does not connect: a store that is down shows at the first call, which can be repeated.
    """

    parameters: type[BaseModel]
    make: Callable[[Any, Path], EventStore]


def _memory(parameters: MemoryParameters, state_dir: Path) -> EventStore:  # noqa: ARG001  # the shape of all kinds
    from daemon.store.reference import ReferenceStore  # noqa: PLC0415  # only the kind in use is loaded

    return ReferenceStore()


def _duckdb(parameters: DuckDBParameters, state_dir: Path) -> EventStore:
    from daemon.store.duckdb.store import FILE_NAME, DuckDBStore  # noqa: PLC0415  # only the kind in use is loaded

    return DuckDBStore(parameters.path or state_dir / FILE_NAME, parameters)


def _elasticsearch(parameters: ElasticSettings, state_dir: Path) -> EventStore:
    from daemon.store.elastic.store import ElasticStore  # noqa: PLC0415  # only the kind in use is loaded

    return ElasticStore(parameters, state_dir)


STORES: Mapping[str, StoreKind] = {
    "duckdb": StoreKind(DuckDBParameters, _duckdb),
    "elasticsearch": StoreKind(ElasticSettings, _elasticsearch),
    "memory": StoreKind(MemoryParameters, _memory),
}
