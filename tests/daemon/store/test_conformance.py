"""Every store keeps every promise of the protocol."""

import pytest

from daemon.store.checks import CHECKS, MakeStore, StoreCheck, check_store


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_store_keeps_the_protocol(make_store: MakeStore, check: StoreCheck) -> None:
    check_store(make_store, [check])
