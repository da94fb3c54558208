"""How well a number of false alarms tells how many there are on average."""

from scipy.stats import chi2


def ratio_limits(observed: int, promised: float) -> tuple[float, float]:
    """The 95 % limits of what is observed per promised alarm: Poisson's, exact (Garwood 1936)."""
    low = float(chi2.ppf(0.025, 2 * observed)) / 2 if observed else 0.0
    return round(low / promised, 2), round(float(chi2.ppf(0.975, 2 * observed + 2)) / 2 / promised, 2)
