"""Is a value more common among some things than among others, or is it chance?"""

import math
from collections.abc import Sequence


def lift(bad: int, bad_total: int, base: int, base_total: int) -> float:
    """How many times more common a value is among the bad ones: the ratio of its two shares.

    Half an observation is added to every count (Anscombe), so that a value the baseline never had gets a finite lift,
    and a moderate one where there is little to go by.
    """
    return ((bad + 0.5) / (bad_total + 1.0)) / ((base + 0.5) / (base_total + 1.0))


def excess_probability(bad: int, bad_total: int, base: int, base_total: int) -> float:
    """The probability that chance alone puts at least ``bad`` of the value's occurrences among the bad ones.

    Fisher's exact test, one-sided: the tail of the hypergeometric law for ``bad_total`` draws from all
    ``bad_total + base_total``, of which ``bad + base`` have the value. Terms are summed until they no longer matter.
    1 where the value is not more common than expected.
    """
    population, marked = bad_total + base_total, bad + base
    if population == 0 or bad <= marked * bad_total / population:
        return 1.0
    highest = min(marked, bad_total)
    term = math.exp(
        _log_choose(marked, bad)
        + _log_choose(population - marked, bad_total - bad)
        - _log_choose(population, bad_total)
    )
    total = term
    for count in range(bad, highest):
        left = population - marked - bad_total + count + 1
        term *= (marked - count) * (bad_total - count) / ((count + 1) * left)
        total += term
        if term <= total * 1e-16:
            break
    return min(total, 1.0)


def least_probability(marked: int, bad_total: int, base_total: int) -> float:
    """The smallest `excess_probability` that a value with so many occurrences could have: all of them bad, or all bad
    ones."""
    bad = min(marked, bad_total)
    return excess_probability(bad, bad_total, marked - bad, base_total)


def testable(least: Sequence[float], level: float) -> list[bool]:
    """Which comparisons can be significant at all, given the least probability each could have (Tarone 1990).

    Only these need to be corrected for: the others could not have been a false discovery.
    """
    ordered = sorted(least)
    compared = next((k for k in range(1, len(ordered) + 1) if sum(p <= level / k for p in ordered) <= k), 1)
    return [probability <= level / compared for probability in least]


def holm(probabilities: Sequence[float]) -> list[float]:
    """The probabilities corrected for their number (Holm 1979): their order stays, none is below its original."""
    order = sorted(range(len(probabilities)), key=probabilities.__getitem__)
    corrected = [1.0] * len(probabilities)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, probabilities[index] * (len(order) - rank)))
        corrected[index] = largest
    return corrected


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
