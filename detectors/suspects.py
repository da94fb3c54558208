"""Which field values the bad events share and the baseline does not."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """``field`` = ``value`` holds for ``bad`` of ``bad_total`` bad and ``base`` of ``base_total`` baseline events.

    lift          (bad / bad_total) / (base / base_total), smoothed
    significance  probability of such a concentration by chance, corrected for the number of values compared
    """

    field: str
    value: str
    bad: int
    bad_total: int
    base: int
    base_total: int
    lift: float
    significance: float
