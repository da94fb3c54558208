"""The bound for how soon a doubling can be told: at once where requests are many, never soon where they are few."""

import numpy as np

from benchmarks.detection.latency_bound import bound


def test_many_requests_tell_at_once_and_few_can_not() -> None:
    many, few = (bound(np.random.default_rng(3), 14, rate, level_known=True) for rate in (60.0, 1.0))
    assert many["in_2_min"] == 1.0
    assert few["in_2_min"] < 0.3 < many["found"]
    assert few["in_2_min"] <= few["in_3_min"] <= few["found"]
