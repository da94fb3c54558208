"""When a batch is taken: at once where there is nothing to wait for, never later than agreed."""

from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from recognizer.serve.gathering import Gathering

LONG, PATIENCE = 3_600.0, 30.0


def taking(gathering: Gathering[str], pool: ThreadPoolExecutor) -> Future[list[str]]:
    return pool.submit(gathering.take)


def test_one_alone_does_not_wait() -> None:
    gathering: Gathering[str] = Gathering(8, LONG)
    gathering.expect(1)
    gathering.put("a")
    assert gathering.take() == ["a"]


def test_those_on_their_way_are_waited_for() -> None:
    """The taker is there first, and gets all three in one batch whichever way it is woken."""
    gathering: Gathering[str] = Gathering(8, LONG)
    with ThreadPoolExecutor(1) as pool:
        gathering.expect(3)
        batch = taking(gathering, pool)
        for one in "abc":
            gathering.put(one)
        assert batch.result(PATIENCE) == ["a", "b", "c"]


def test_one_that_does_not_come_is_not_waited_for() -> None:
    gathering: Gathering[str] = Gathering(8, LONG)
    with ThreadPoolExecutor(1) as pool:
        gathering.expect(2)
        gathering.put("a")
        batch = taking(gathering, pool)
        gathering.miss()
        assert batch.result(PATIENCE) == ["a"]


def test_a_full_batch_goes_though_more_are_coming() -> None:
    gathering: Gathering[str] = Gathering(2, LONG)
    gathering.expect(9)
    for one in "abcde":
        gathering.put(one)
    assert [gathering.take(), gathering.take()] == [["a", "b"], ["c", "d"]]


@pytest.mark.parametrize("wait_seconds", [0.0, 0.01])
def test_nobody_waits_longer_than_agreed(wait_seconds: float) -> None:
    """The other one never comes."""
    gathering: Gathering[str] = Gathering(8, wait_seconds)
    gathering.expect(2)
    gathering.put("a")
    assert gathering.take() == ["a"]


def test_at_the_end_what_came_is_taken_and_then_nothing() -> None:
    gathering: Gathering[str] = Gathering(1, LONG)
    gathering.expect(3)
    gathering.put("a")
    gathering.put("b")
    gathering.end()
    assert [gathering.take(), gathering.take(), gathering.take()] == [["a"], ["b"], []]


def test_whoever_waits_hears_of_the_end() -> None:
    gathering: Gathering[str] = Gathering(8, LONG)
    with ThreadPoolExecutor(1) as pool:
        batch = taking(gathering, pool)
        gathering.end()
        assert batch.result(PATIENCE) == []
