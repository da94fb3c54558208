"""Logarithms of upper tail probabilities, elementwise over arrays and exact far out, where differences would cancel."""

import math

import numpy as np

from detectors.stats.series import Floats

_CHUNK = 64
_MOST_CHUNKS = 1_024
_NEGLIGIBLE = 1e-9
_FURTHEST_Z = 37.0
"""Beyond it the tail of the normal law is no longer a double."""

_log_erfc = np.frompyfunc(lambda z: math.log(0.5 * math.erfc(z / math.sqrt(2.0))), 1, 1)


def log_normal_tail(z: Floats) -> Floats:
    """ln P(Z >= z) of a standard normal Z; z is cut to ±37."""
    result: Floats = _log_erfc(np.clip(z, -_FURTHEST_Z, _FURTHEST_Z)).astype(np.float64)
    return result


def log_gamma(x: Floats) -> Floats:
    """ln Γ(x) for x > 0, to about 1e-13 of its size.

    Stirling's series (Abramowitz and Stegun 6.1.41) at x + 8, brought down by the recurrence Γ(x + 1) = x Γ(x).
    """
    product = x.copy()
    for step in range(1, 8):
        product = product * (x + step)
    y = x + 8.0
    square = y * y
    series = (1 / 12.0 - (1 / 360.0 - (1 / 1260.0 - 1 / (1680.0 * square)) / square) / square) / y
    result: Floats = (y - 0.5) * np.log(y) - y + 0.5 * math.log(2 * math.pi) + series - np.log(product)
    return result


def log_beta_binomial_tail(successes: Floats, trials: Floats, share: Floats, overdispersion: Floats) -> Floats:
    """ln P(K >= successes) among ``trials`` whose probability of success is itself beta distributed.

    share           the mean of that probability, strictly between 0 and 1
    overdispersion  the correlation ρ of two trials: Var K = n p (1 - p) (1 + (n - 1) ρ); 0 gives the binomial law

    The mass at ``successes`` comes from log-gammas, the masses above it by the recurrence of neighbouring masses,
    summed until they no longer matter. At or below 0 successes it is ln 1.
    """
    k, n, p = (np.asarray(values, dtype=np.float64) for values in (successes, trials, share))
    rho = np.maximum(overdispersion, 0.0)
    binomial = rho < 1e-9
    weight = 1.0 / np.where(binomial, 1.0, rho) - 1.0
    alpha, beta = np.maximum(p * weight, 1e-9), np.maximum((1.0 - p) * weight, 1e-9)
    k = np.clip(k, 0.0, n)
    choose = log_gamma(n + 1) - log_gamma(k + 1) - log_gamma(n - k + 1)
    mixed = (
        (log_gamma(k + alpha) - log_gamma(alpha))
        + (log_gamma(n - k + beta) - log_gamma(beta))
        - (log_gamma(n + alpha + beta) - log_gamma(alpha + beta))
    )
    plain = k * np.log(p) + (n - k) * np.log1p(-p)
    mass = choose + np.where(binomial, plain, mixed)
    total = np.minimum(mass + np.log(_sum_above(k, n, p, np.where(binomial, -1.0, alpha), beta)), 0.0)
    result: Floats = np.where(k <= 0, 0.0, total)
    return result


def _sum_above(k: Floats, n: Floats, p: Floats, alpha: Floats, beta: Floats) -> Floats:
    """The masses at k, k + 1, … n, as multiples of the mass at k; a negative alpha means the binomial law."""
    total, last = np.ones_like(k), np.ones_like(k)
    active = np.arange(len(k))
    start = k.copy()
    for _ in range(_MOST_CHUNKS):
        j = start[active, None] + np.arange(_CHUNK)
        left = np.maximum(n[active, None] - j, 0.0)
        a, b, q = alpha[active, None], beta[active, None], p[active, None]
        odds = np.where(a < 0, q / (1.0 - q), (a + j) / np.maximum(b + left - 1.0, 1e-9))
        terms = last[active, None] * np.cumprod(left / (j + 1.0) * odds, axis=1)
        total[active] += terms.sum(axis=1)
        last[active] = terms[:, -1]
        start[active] += _CHUNK
        active = active[(last[active] > _NEGLIGIBLE * total[active]) & (start[active] < n[active])]
        if not len(active):
            break
    return total
