"""Eq. 7 as the prior mean of `refined`: taken without anyone naming it where the map is of it, and never where it shows another kernel."""

from dataclasses import replace

import numpy as np
import pytest

import qpi_core
from qpi_core.evaluation.benchmark.formula_limit import formula_limit
from qpi_core.evaluation.benchmark.scenes import draw_benchmark_scene
from qpi_core.evaluation.metrics import kernel_errors
from qpi_core.extraction.extractor import Extractor
from qpi_core.solvers.formula.formula_prior import formula_answer, formula_prior
from qpi_core.solvers.formula.parametric import solve_parametric
from qpi_core.solvers.harmonic.answer import harmonic_solution
from qpi_core.solvers.harmonic.model import fit_harmonics
from qpi_core.solvers.harmonic.start import SYMMETRY_ORDERS
from qpi_core.solvers.positions.catalogue.selection import ListedFit
from qpi_core.solvers.refined.refined import Prior, uncorrected

SEED = 4407


def fitted(observation, positions):
    model = fit_harmonics(observation, positions, 64, np.ones(len(positions)), None, SYMMETRY_ORDERS)
    return model, harmonic_solution(model, 64, None, len(positions), remainder=model.remainder)


def prior_for(observation, positions):
    model, harmonic = fitted(observation, positions)
    return formula_prior(model, harmonic, observation.shape)


@pytest.mark.parametrize(("index", "variant"), [(2, "on-grid"), (3, "off-grid")])
def test_refined_takes_the_formula_where_the_map_is_of_it(index, variant):
    scene = draw_benchmark_scene(SEED, index, variant, 0.5)
    found = Extractor(device="cpu").extract(scene.observation, scene.positions, "refined", 64, pixel_size_nm=scene.pixel_size_nm)
    known = solve_parametric(scene.observation, scene.positions, 64, pixel_size_nm=scene.pixel_size_nm)
    np.testing.assert_allclose(found.kernel, known.kernel, atol=1e-3 * np.ptp(scene.kernel))
    assert kernel_errors(found.kernel, scene.kernel).rmse < 2.5 * formula_limit(scene).rmse
    assert found.symmetry_order == scene.symmetry_order and found.parameters["symmetry_probability"][0] > 0.9
    pulls = np.abs(found.kernel - scene.kernel) / found.uncertainty
    assert (pulls < 3).mean() > 0.9
    assert found.noise_sigma == pytest.approx(scene.noise_sigma, rel=0.1)
    left = scene.observation - found.reconstruction
    assert left.std() == pytest.approx(scene.noise_sigma, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["band", "one-sided", "strained"])
def test_kernels_of_another_form_do_not_take_it(variant):
    scene = draw_benchmark_scene(SEED, 1, variant, 0.05)
    assert prior_for(scene.observation, scene.positions) is None


def test_neither_noise_nor_a_formula_that_leaves_something_is_taken():
    rng = np.random.default_rng(3)
    assert prior_for(rng.standard_normal((64, 64)).astype(np.float32), rng.uniform(0, 63, (20, 2))) is None
    scene = draw_benchmark_scene(SEED, 2, "on-grid", 0.2)
    prior = prior_for(scene.observation, scene.positions)
    y, x = np.mgrid[:64, :64] - 32
    bump = (0.3 * np.ptp(scene.kernel) * np.exp(-((x - 6) ** 2 + (y + 3) ** 2) / 8)).astype(np.float32)
    wide = prior.wide_kernel.copy()
    start = len(wide) // 2 - 32
    wide[start : start + 64, start : start + 64] += bump
    wrong = replace(prior, kernel=prior.kernel + bump, wide_kernel=wide)
    assert uncorrected(scene.observation, scene.positions, 64, Prior("formula", prior, 6.0)).details["prior"] == "formula"
    assert uncorrected(scene.observation, scene.positions, 64, Prior("formula", wrong, 6.0)) is None


def test_positions_that_are_not_known_widen_its_error_bars():
    scene = draw_benchmark_scene(SEED, 2, "on-grid", 0.5)
    model, harmonic = fitted(scene.observation, scene.positions)
    listed = ListedFit(scene.positions, np.ones(len(scene.positions)), None, model, None)
    plain = formula_answer(listed, harmonic, scene.observation, lambda: None)
    wider = formula_answer(listed, harmonic, scene.observation, lambda: np.full((64, 64), 0.02))
    np.testing.assert_allclose(wider.uncertainty, np.sqrt(plain.uncertainty**2 + 0.02), rtol=1e-5)
    np.testing.assert_array_equal(wider.kernel, plain.kernel)


def test_the_side_car_names_it():
    scene = draw_benchmark_scene(SEED, 2, "on-grid", 0.5)
    found = qpi_core.load_extractor(device="cpu").extract(scene.observation, scene.positions, "refined", 64)
    assert '"formula"' in str(found.provenance).replace("'", '"')
