"""The statistics, the likelihood and the waves of a band model against explicit algebra."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
from scipy.special import hankel1

from qpi_core.solvers.band_model.kernels.free_electron import FreeElectronBand, core_columns, wave_columns
from qpi_core.solvers.band_model.layers import Layer, solve_free
from qpi_core.solvers.band_model.projections import Projections, project_stack
from qpi_core.solvers.harmonic.equations.basis import RadialSplines

SHAPE, PITCH = (20, 24), 0.3
POSITIONS = np.array([[4.3, 6.1], [15.8, 11.2], [9.0, 3.0]])


def stack(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((2, *SHAPE))


def superposition(coefficients: np.ndarray, splines: RadialSplines) -> np.ndarray:
    """The map of an isotropic kernel, pixel by pixel."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    total = np.zeros(SHAPE)
    for px, py in POSITIONS:
        radii = np.hypot(x - px, y - py).ravel()
        first, pieces = splines.pieces(radii)
        total += np.take(coefficients, first[:, None] + np.arange(6))[:, :].__mul__(pieces).sum(axis=1).reshape(SHAPE)
    return total


@pytest.mark.parametrize("gap", [False, True])
def test_the_statistics_give_the_squared_residual_of_explicit_maps(gap):
    layers = stack()
    if gap:
        layers[:, 3:5, 2] = np.nan
    found = project_stack(layers, POSITIONS, np.ones(3), (1.0, 1.0))
    kernel = np.random.default_rng(1).standard_normal(found.splines.count)
    left = layers[1] - superposition(kernel, found.splines)
    there = np.isfinite(left)
    explicit = float(np.sum((left[there] - left[there].mean()) ** 2))
    gram, projection = found.gram.sum(axis=0), found.projection[1].sum(axis=0)
    assert found.power[1].sum() - 2 * projection @ kernel + kernel @ gram @ kernel == pytest.approx(explicit, rel=1e-5)
    assert found.count.sum() == there.sum() - 1 and len(found.count) == (1 if gap else found.gram.shape[0])


def test_bins_sort_the_cosine_transform_by_frequency():
    layers = stack()
    found = project_stack(layers, POSITIONS, np.ones(3), (1.0, 1.0))
    power = scipy.fft.dctn(layers[0], norm="ortho") ** 2
    fy, fx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    order = np.argsort(np.hypot(fy / SHAPE[0], fx / SHAPE[1]).ravel(), kind="stable")[1:]
    edges = np.concatenate([[0], np.cumsum(found.count).astype(int)])
    explicit = [power.ravel()[order[a:b]].sum() for a, b in zip(edges[:-1], edges[1:], strict=True)]
    np.testing.assert_allclose(found.power[0], explicit)


def test_the_marginal_likelihood_is_that_of_a_dense_gaussian():
    rng = np.random.default_rng(2)
    design, noise = rng.standard_normal((30, 5)), np.array([0.5, 2.0])
    part = np.repeat([0, 1], 15)
    data = rng.standard_normal(30)
    parts = [design[part == b] for b in (0, 1)]
    statistics = Projections(
        splines=RadialSplines(0.8, 4.0),
        gram=np.stack([one.T @ one for one in parts]),
        projection=np.stack([one.T @ data[part == b] for b, one in enumerate(parts)])[None],
        power=np.array([[np.sum(data[part == b] ** 2) for b in (0, 1)]]),
        count=np.array([15.0, 15.0]),
    )
    columns, prior = rng.standard_normal((5, 2)), np.array([0.7, 3.0])
    covariance = np.diag(noise[part]) + design @ columns @ np.diag(prior) @ columns.T @ design.T
    explicit = -0.5 * (data @ np.linalg.solve(covariance, data) + np.linalg.slogdet(covariance)[1])
    assert Layer.under(statistics, 0, noise).log_marginal(columns, prior) == pytest.approx(explicit)


def test_waves_are_squared_hankel_functions():
    splines = RadialSplines(0.8, 40.0)
    band = FreeElectronBand(-65.0, 0.4, 3.0, 0.05)
    kappa = band.wavenumbers(np.array([20.0]))
    assert kappa[0] ** 2 * 38.0998212 / 0.4 == pytest.approx(85.0 + 3.0j) and kappa[0].imag > 0
    columns = wave_columns(kappa, 0.05, splines, PITCH, 0.25)
    radii = np.linspace(5.0, 38.0, 50)
    first, pieces = splines.pieces(radii)
    values = np.einsum("rk,rkc->rc", pieces, columns[0][first[:, None] + np.arange(6)])
    softened = PITCH * np.sqrt(radii**2 + 0.25)
    exact = abs(kappa[0]) * hankel1(0, kappa[0] * softened) ** 2 * np.exp(-softened * 0.05)
    np.testing.assert_allclose(values[:, 0] + 1j * values[:, 1], exact, rtol=2e-3)


def test_below_the_edge_the_wave_dies_out_and_a_hole_band_runs_below_its_own():
    assert FreeElectronBand(0.0, 0.4, 0.1, 0.0).wavenumbers(np.array([-50.0]))[0].imag > 0.5
    hole = FreeElectronBand(0.0, -0.4, 0.1, 0.0).wavenumbers(np.array([-50.0, 50.0]))
    assert abs(hole[0].real) > 0.5 and hole[1].imag > 0.5 and (hole.imag > 0).all()


def test_core_columns_are_free_inside_only():
    splines = RadialSplines(0.8, 20.0)
    columns = core_columns(splines, 3.0)
    radii = np.array([0.0, 2.0, 6.0, 15.0])
    first, pieces = splines.pieces(radii)
    seen = np.abs(np.einsum("rk,rkc->rc", pieces, columns[first[:, None] + np.arange(6)])).sum(axis=1)
    assert (seen[:2] > 0.9).all() and (seen[2:] == 0).all()


def test_noise_is_found_with_a_kernel_and_with_none():
    rng = np.random.default_rng(3)
    noise = 0.4 * rng.standard_normal((1, 48, 48))
    positions = rng.uniform(0, 47, (8, 2))
    y, x = np.mgrid[:48, :48]
    clean = sum(np.cos(0.9 * np.hypot(x - a, y - b)) * np.exp(-np.hypot(x - a, y - b) / 8) for a, b in positions)
    for layers, seen in ((noise, False), (noise + clean, True)):
        statistics = project_stack(layers, positions, np.ones(8), (1.0, 1.0))
        found = solve_free(statistics, 0, 0.9)
        deviation = np.sqrt(statistics.count @ found.layer.variances / statistics.count.sum())
        assert deviation == pytest.approx(0.4, rel=0.06)
        assert (found.log_marginal - found.layer.empty > 100) == seen
