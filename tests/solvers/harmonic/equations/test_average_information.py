"""The Hessian that the search of independent profiles starts from, against dense matrices over the pixels and against differences."""

import numpy as np
import pytest

from qpi_core.solvers.harmonic.equations.basis import RadialSplines, take_samples
from qpi_core.solvers.harmonic.equations.evidence import RadialPrior, average_information
from qpi_core.solvers.harmonic.equations.stored_design import StoredDesign
from qpi_core.solvers.harmonic.orders.extension import profile_subspace

ORDERS, GROUPS = (0, 2), np.array([0, 1, 1])
RADIAL = RadialPrior(np.log(0.02), np.log(9.0), np.array([0.5, 0.9]), np.array([0.3, -0.2]), np.log(1.4))
AMPLITUDES = np.array([0.9, 1.7, 1.7])


@pytest.fixture(scope="module")
def seen():
    rng = np.random.default_rng(3)
    positions = rng.uniform(0, 17, (5, 2))
    samples = take_samples(rng.standard_normal((18, 18)).astype(np.float32), positions, np.ones(5))
    splines = RadialSplines(0.8, 26.0)
    return StoredDesign(samples, splines, ORDERS), splines


def test_slopes_of_the_covariance_are_those_of_differences(seen):
    nodes, step = seen[1].nodes, 1e-5
    names = [("log_decay", None), ("log_coherence", None), ("wavenumbers", 0), ("wavenumbers", 1), ("logits", 0), ("logits", 1)]
    slopes = RADIAL.slopes(nodes)
    for index, (name, place) in enumerate([*names, ("log_power", None)]):
        sides = []
        for sign in (1, -1):
            value = np.array(getattr(RADIAL, name), dtype=float)
            value[() if place is None else place] += sign * step
            fields = {**RADIAL.__dict__, name: value if place is not None else float(value)}
            sides.append(RadialPrior(**fields).covariance(nodes))
        np.testing.assert_allclose(slopes[index], (sides[0] - sides[1]) / (2 * step), atol=1e-7)


@pytest.mark.parametrize("narrow", [False, True])
def test_information_is_its_definition_over_the_pixels(seen, narrow):
    design, splines = seen
    nodes, floor = splines.nodes, 0.01
    subspace = profile_subspace(RADIAL, nodes, 1e-4) if narrow else None
    equations = design.equations_in(ORDERS, subspace) if narrow else design.equations(ORDERS)
    found = average_information(equations, nodes, RADIAL, AMPLITUDES, GROUPS, floor)
    inside = np.eye(nodes.size) if subspace is None else subspace
    columns = design.prior_columns(ORDERS, np.eye(3), inside).reshape(-1, 3, inside.shape[1])
    values = design.residual(ORDERS, np.zeros((3, nodes.size)))

    def over_pixels(by_function, covariance):
        reduced = inside.T @ covariance @ inside
        return sum(c * part @ reduced @ part.T for c, part in zip(by_function, columns.transpose(1, 0, 2), strict=True))

    power = AMPLITUDES**2
    slopes = [over_pixels(power, slope) for slope in RADIAL.slopes(nodes)]
    slopes += [over_pixels(2 * power * (group == GROUPS), RADIAL.covariance(nodes)) for group in (0, 1)]
    whole = np.linalg.inv(np.eye(values.size) + over_pixels(power, RADIAL.covariance(nodes)))
    left = whole @ values
    misfit, freedom = values @ left + (values.size - 1) * floor, values.size - 1
    pulls = np.array([slope @ left for slope in slopes])
    first = pulls @ left
    expected = 0.5 * freedom / misfit * (pulls @ whole @ pulls.T - np.outer(first, first) / misfit)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
