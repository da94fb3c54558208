"""Numbers of the command line that lie in a range."""

import math
from typing import Any

import click


class RealRange(click.FloatRange):
    """As click's own, which takes ``nan`` for a number that lies in every range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number", param, ctx)
        return number
