"""The names of the stores that tests run on; conftest.py makes each."""

import pytest

COMPARED_STORES = [
    "duckdb",
    pytest.param("elasticsearch-8", marks=pytest.mark.elasticsearch),
    pytest.param("elasticsearch-9", marks=pytest.mark.elasticsearch),
]
"""Those that are compared with the oracle on random questions."""

STORES = ["memory", "duckdb-in-memory", *COMPARED_STORES]
"""Those that must keep every promise of the protocol."""
