"""What a harmonic fit leaves of the map, order by order: more than white noise would?

The residual is projected onto every angular order, profiles within an envelope. Under white noise the power of such a projection is a
sum of independent squares, weighted with the eigenvalues of the Gram matrix; a gamma distribution of the same mean and variance
(Satterthwaite) gives its probability. Two envelopes are tried: that of the fit, and a wide one, because a fit that is wrong about
the envelope does not look where it is wrong.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from qpi_core.solvers.harmonic.equations.evidence import RadialPrior, low_rank_factor
from qpi_core.solvers.harmonic.equations.stored_design import StoredDesign
from qpi_core.solvers.harmonic.search import Fit

Array = NDArray[np.float64]

DOUBTFUL, CERTAIN = 3e-3, 1e-4
"""Probability under white noise below which the simple model is in doubt, and structure in a residual is beyond doubt; some ten
orders are looked at."""
_LONGEST_LOG_COHERENCE = float(np.log(4.0))
_RANK = 1e-5
"""Variance, in units of the largest one, below which a direction of the profiles is not looked at."""
_WIDE_REACH = 1 / 6
"""Radius where the wide envelope, an exponential, has fallen to 1 / e, in units of the largest radius."""


def unexplained_orders(
    design: StoredDesign, nodes: Array, fit: Fit, checked: tuple[int, ...], probability: float = CERTAIN
) -> dict[int, float]:
    """Return the orders onto which the residual projects more strongly, in one of two envelopes, than white noise with this probability.

    The values are the power over its expectation under white noise; strongest first.
    """
    point = fit.hyperparameters
    design.add_orders(checked)
    residual = design.residual(point.orders, fit.evidence.profiles) / np.sqrt(fit.evidence.variance)
    factors = [low_rank_factor(radial.covariance(nodes), _RANK) for radial in _envelopes(point.radial, nodes)]
    excess = {}
    for order in checked:
        projection = design.projections((order,), residual[:, None])[..., 0]
        tests = [_power((projection @ factor).ravel(), design.gram_in(order, factor)) for factor in factors]
        if min(chance for _, chance in tests) < probability:
            excess[order] = max(ratio for ratio, _ in tests)
    return dict(sorted(excess.items(), key=lambda item: -item[1]))


def _envelopes(radial: RadialPrior, nodes: Array) -> tuple[RadialPrior, RadialPrior]:
    """Return the priors within which is searched: the fit's own, and a wide one; both follow any profile."""
    own = replace(radial, log_coherence=min(radial.log_coherence, _LONGEST_LOG_COHERENCE))
    return own, widened(own, nodes)


def widened(radial: RadialPrior, nodes: Array) -> RadialPrior:
    """Return the prior with a wide exponential envelope."""
    return replace(radial, log_decay=-2 * float(np.log(_WIDE_REACH * nodes[-1])), log_power=0.0)


def _power(projection: Array, gram: Array) -> tuple[float, float]:
    """Return the power of a projection over its expectation under white noise, and how probable so much or more is."""
    expected, variance = float(np.trace(gram)), 2 * float(np.sum(gram**2))
    if expected <= 0 or variance <= 0:
        # No pixel sees this order.
        return 1.0, 1.0
    power, shape = float(projection @ projection), expected**2 / variance
    return power / expected, float(gammaincc(shape, power * shape / expected))
