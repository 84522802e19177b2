"""The formula's limit against definitions of its own: numerical derivatives, drawn noise, and the method that knows the formula."""

from dataclasses import astuple, replace

import numpy as np
import pytest

from qpi_core.base.grid import kernel_coordinates
from qpi_core.evaluation.benchmark.formula_limit import expected_root, formula_limit, in_nanometres
from qpi_core.evaluation.benchmark.scenes import EQUATION_7_VARIANTS, TUNING_SEED, VARIANTS, draw_benchmark_scene
from qpi_core.evaluation.metrics import kernel_errors
from qpi_core.solvers.formula.equation_seven import EquationSeven
from qpi_core.solvers.formula.parametric import solve_parametric
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters, evaluate, phenomenological_kernel

STEP = 1e-5


@pytest.mark.parametrize("index", range(5))
def test_the_formula_is_the_scenes_kernel(index):
    scene = draw_benchmark_scene(TUNING_SEED, index)
    assert scene.symmetry_order == scene.parameters.symmetry_order == (0, 2, 3, 4, 6)[index]
    x, y = kernel_coordinates(64, scene.pixel_size_nm)
    values = in_nanometres(scene.parameters).values(x, y)[0]
    assert np.abs(values - scene.kernel).max() < 1e-5 * np.abs(scene.kernel).max()
    # The parametric solver's unit of length is the pixel: B and c then come in rad/px and px^-2.
    p, pitch = scene.parameters, scene.pixel_size_nm
    in_pixels = EquationSeven(p.symmetry_order, np.array([1, p.orientation, p.phase, p.wavenumber * pitch, p.decay * pitch**2]))
    np.testing.assert_allclose(in_pixels.values(x / pitch, y / pitch)[0], values, atol=1e-12)


def test_only_kernels_of_the_formula_have_parameters():
    for variant in VARIANTS:
        scene = draw_benchmark_scene(TUNING_SEED, 2, variant, 0.2)
        assert (scene.parameters is not None) == (variant in EQUATION_7_VARIANTS)
        if scene.parameters is None:
            with pytest.raises(ValueError, match=variant):
                formula_limit(scene)


def simulated(scene, names, values):
    """The map and the kernel, amplitude first, with other parameters: a loop over the defects, one kernel each."""
    amplitude, *rest = values
    parameters = replace(scene.parameters, **dict(zip(names, rest, strict=True)))
    rows, columns = np.mgrid[: scene.observation.shape[0], : scene.observation.shape[1]]
    pattern = np.zeros(scene.observation.shape)
    for x, y in scene.true_positions:
        pattern += evaluate(parameters, (columns - x) * scene.pixel_size_nm, (rows - y) * scene.pixel_size_nm)
    return amplitude * pattern, amplitude * evaluate(parameters, *kernel_coordinates(64, scene.pixel_size_nm))


@pytest.mark.parametrize(("index", "variant"), [(0, "on-grid"), (3, "off-grid"), (4, "clicks-1"), (1, "missing-10")])
def test_linear_fits_of_drawn_noise_err_as_expected(index, variant):
    scene = draw_benchmark_scene(TUNING_SEED, index, variant, 0.2)
    names = [name for name in ("orientation", "wavenumber", "phase", "decay") if name != "orientation" or scene.symmetry_order]
    truth = np.array([1.0, *(getattr(scene.parameters, name) for name in names)])
    slopes = []
    for number in range(len(truth)):
        step = STEP * np.eye(len(truth))[number]
        (map_up, kernel_up), (map_down, kernel_down) = (simulated(scene, names, truth + sign * step) for sign in (1, -1))
        slopes.append(((map_up - map_down).ravel() / (2 * STEP), (kernel_up - kernel_down) / (2 * STEP)))
    # The background is one more column, fitted with the rest.
    design = np.stack([*(slope for slope, _ in slopes), np.ones(scene.observation.size)], axis=1)
    rng = np.random.default_rng(5)
    errors = []
    for _ in range(400):
        found, *_ = np.linalg.lstsq(design, scene.noise_sigma * rng.standard_normal(len(design)), rcond=None)
        kernel = scene.kernel + sum(value * slope for value, (_, slope) in zip(found[:-1], slopes, strict=True))
        error = kernel_errors(kernel, scene.kernel)
        errors.append((error.mae, error.mse, error.rmse))
    drawn, spread = np.mean(errors, axis=0), np.std(errors, axis=0) / np.sqrt(len(errors))
    np.testing.assert_array_less(np.abs(drawn - astuple(formula_limit(scene))), 4 * spread)


def test_proportional_to_the_noise_and_zero_without():
    none, low, high = (formula_limit(draw_benchmark_scene(TUNING_SEED, 3, "off-grid", level)) for level in (0.0, 0.05, 1.0))
    assert astuple(none) == (0, 0, 0)
    assert (high.mae / low.mae, high.mse / low.mse, high.rmse / low.rmse) == pytest.approx((20, 400, 20), rel=1e-9)


def test_wrong_lists_have_the_limit_of_the_right_one():
    right = formula_limit(draw_benchmark_scene(TUNING_SEED, 2, "on-grid", 0.2))
    for variant in ("clicks-0.5", "clicks-1", "missing-10"):
        assert formula_limit(draw_benchmark_scene(TUNING_SEED, 2, variant, 0.2)) == right


def test_neither_the_kernels_amplitude_nor_the_pitch_of_the_fit_matters():
    """A window of the same kernel in another unit and of other contrast has the same error on its own [0, 1] scale."""
    scene = draw_benchmark_scene(TUNING_SEED, 3, "on-grid", 0.2)
    p = scene.parameters
    stretched = KernelParameters(p.symmetry_order, p.orientation, p.wavenumber / 3, p.phase, p.decay / 9)
    kernel = phenomenological_kernel(**stretched.as_dict(), pixel_size_nm=3 * scene.pixel_size_nm)
    other = replace(scene, parameters=stretched, kernel=kernel, pixel_size_nm=3 * scene.pixel_size_nm)
    assert astuple(formula_limit(other)) == pytest.approx(astuple(formula_limit(scene)), rel=1e-6)


def test_expected_root():
    assert expected_root(np.array([4.0])) == pytest.approx(2 * np.sqrt(2 / np.pi), rel=1e-12)
    assert expected_root(np.ones(2)) == pytest.approx(np.sqrt(np.pi / 2), rel=1e-12)
    assert expected_root(np.ones(3)) == pytest.approx(2 * np.sqrt(2 / np.pi), rel=1e-12)
    assert expected_root(np.zeros(3)) == 0
    weights = np.array([1e-8, 3e-7, 1e-11, 5e-6])
    drawn = np.sqrt(np.random.default_rng(1).standard_normal((200_000, 4)) ** 2 @ weights)
    assert expected_root(weights) == pytest.approx(drawn.mean(), rel=0.01)
    assert expected_root(weights) < np.sqrt(weights.sum())


@pytest.mark.slow
def test_the_fit_that_knows_the_formula_comes_close():
    limits, errors = [], []
    for index in range(10):
        scene = draw_benchmark_scene(TUNING_SEED, index, "off-grid" if index % 2 else "on-grid", 0.2)
        found = solve_parametric(scene.observation, scene.positions, 64, pixel_size_nm=scene.pixel_size_nm)
        limits.append(formula_limit(scene).rmse)
        errors.append(kernel_errors(found.kernel, scene.kernel).rmse)
    assert 0.9 < np.mean(errors) / np.mean(limits) < 1.5
