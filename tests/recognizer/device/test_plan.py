"""Choosing among measurements is a pure function of them; sizes of batches."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognizer.device.plan import SAFE, Layout, Measurement, Mode, Plan, Precision, bucket_of, buckets, choose

PLANS = [Plan(*parts) for parts in itertools.product(Precision, Layout, Mode)]
HALF = Plan(Precision.BFLOAT16, Layout.CONTIGUOUS, Mode.GRAPH)
LAST = Plan(Precision.BFLOAT16, Layout.CHANNELS_LAST, Mode.GRAPH)
FULL = Plan(Precision.FLOAT32, Layout.CONTIGUOUS, Mode.GRAPH)


def test_the_fastest_is_chosen() -> None:
    assert choose([Measurement(FULL, 40.0), Measurement(HALF, 12.0), Measurement(LAST, 14.0)]) == HALF
    assert choose([Measurement(FULL, 40.0), Measurement(HALF, 14.0), Measurement(LAST, 12.0)]) == LAST


def test_a_plan_with_a_fault_is_never_chosen_however_fast() -> None:
    assert choose([Measurement(FULL, 40.0), Measurement(HALF, 1.0, "picture 3 is called 喜鹊")]) == FULL
    assert choose([Measurement(HALF, 1.0, "it raised")]) == SAFE
    assert choose([]) == SAFE


@pytest.mark.parametrize(("half_ms", "chosen"), [(39.0, FULL), (38.0, HALF)])
def test_what_gains_less_than_three_percent_is_not_worth_less_precision(half_ms: float, chosen: Plan) -> None:
    assert choose([Measurement(HALF, half_ms), Measurement(FULL, 40.0)]) == chosen


@given(
    st.lists(
        st.builds(Measurement, st.sampled_from(PLANS), st.floats(0.01, 1e4), st.sampled_from(["", "", "", "a fault"])),
        unique_by=lambda one: one.plan,
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_the_choice_lies_within_three_percent_of_the_best_in_whatever_order(measured, random) -> None:  # type: ignore[no-untyped-def]
    """And is the same for every order of the same measurements."""
    chosen = choose(measured)
    random.shuffle(measured)
    assert choose(measured) == chosen
    usable = {one.plan: one.batch_ms for one in measured if not one.fault}
    if usable:
        assert usable[chosen] <= 1.03 * min(usable.values()) + 1e-9
    else:
        assert chosen == SAFE


def test_sizes_of_batches_end_with_the_largest() -> None:
    assert buckets(64) == (1, 8, 32, 64)
    assert buckets(48) == (1, 8, 32, 48)
    assert buckets(1) == (1,)
    assert buckets(300) == (1, 8, 32, 64, 128, 256, 300)
    with pytest.raises(ValueError, match="at least 1"):
        buckets(0)


@given(st.integers(1, 600), st.data())
def test_a_batch_goes_to_the_smallest_size_that_holds_it(largest: int, data: st.DataObject) -> None:
    sizes = buckets(largest)
    count = data.draw(st.integers(1, largest))
    size = bucket_of(count, sizes)
    assert size >= count
    assert all(other < count for other in sizes if other < size)
    with pytest.raises(ValueError, match="largest batch"):
        bucket_of(largest + 1, sizes)
