"""The kernels of all classes in several layers at once, and defects that are moved by them."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core.solvers.harmonic.joint.start import DefectClass
from qpi_core.solvers.harmonic.posterior.kernel import Renderer
from qpi_core.solvers.layers import refinement
from qpi_core.solvers.layers.one_layer.layer_models import LayerModels
from qpi_core.solvers.layers.problem import StackProblem
from qpi_core.synthesis.simulated_maps.scenes import superpose
from tests.solvers.layers.lattice_patterns import lattice_pattern

SIDE, SIZE, DEFECTS, LAYERS, NOISE = 80, 24, 14, 9, 0.7
COUNT = 2


def simulated(seed: int) -> tuple[np.ndarray, list[np.ndarray], list[list]]:
    """Return a stack of two classes, their positions, and their patterns in every layer."""
    rng = np.random.default_rng(seed)
    positions = [rng.uniform(4, SIDE - 5, (DEFECTS, 2)) for _ in range(COUNT)]
    patterns = [[lattice_pattern(0.4 + k, 1.0 + 0.2 * layer / LAYERS, 4.0, k) for layer in range(LAYERS)] for k in range(COUNT)]
    parts = [[superpose(each, own, (SIDE, SIDE), 1.0) for each in of_class] for of_class, own in zip(patterns, positions, strict=True)]
    clean = np.sum(parts, axis=0)
    noise = NOISE * clean.std(axis=(1, 2), keepdims=True)
    stack = 3.0 + clean + noise * rng.standard_normal(clean.shape)
    return stack.astype(np.float32), positions, patterns


def problem_of(stack: np.ndarray, positions: list[np.ndarray]) -> StackProblem:
    return StackProblem(stack, tuple(DefectClass(own, np.ones(DEFECTS)) for own in positions), SIZE, None)


@pytest.mark.slow
def test_kernels_that_are_solved_together_are_those_of_the_layers():
    """Layers of other measured pixels, and some without a model to begin with; the other class is marginalised, not taken off."""
    stack, positions, patterns = simulated(1)
    stack[3:5, 10:40, 20:50] = np.nan
    state = LayerModels(problem_of(stack, positions), (0, 5, 8))
    for index in (0, 1, 0, 1):
        state.solve(index, select=True, extended=True)
    state.layers = (0, 2, 3, 4, 5, 8)
    state.solve_together(most=None)
    offsets = np.arange(SIZE - 1) - SIZE // 2 + 1
    for layer in state.layers:
        residual = state.rest(0, layer) + state.rest(1, layer) - state.problem.layer(layer)
        noise = float(np.nanstd(residual))
        assert np.nanmean(residual) == pytest.approx(3.0, abs=0.2)
        for index in range(COUNT):
            model = state.models[index, layer]
            assert model.equations.pixels == np.isfinite(stack[layer]).sum()
            window = Renderer(model.frame.grid(SIZE - 1), model.splines, model.fit.hyperparameters.orders)
            truth = patterns[index][layer](*np.meshgrid(offsets, offsets))
            found = window(model.fit.evidence.profiles)
            assert np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.95, (layer, index)
            assert np.sqrt(model.fit.evidence.variance) == pytest.approx(noise, rel=0.05)
            assert model.equations.background(model.fit.evidence.profiles) == pytest.approx(np.nanmean(residual), abs=0.1)


@pytest.mark.slow
def test_a_layer_of_another_strength_has_its_own_noise():
    """The models of a near layer begin the search, not its floor of the noise."""
    stack, positions, patterns = simulated(1)
    stack[2] *= np.float32(1e-4)
    state = LayerModels(problem_of(stack, positions), (0, 5))
    state.choose()
    state.layers = (0, 2)
    state.solve_together(most=None)
    offsets = np.arange(SIZE - 1) - SIZE // 2 + 1
    for index in range(COUNT):
        strong, weak = state.models[index, 0], state.models[index, 2]
        assert weak.floor == pytest.approx(strong.floor * np.var(stack[2]) / np.var(stack[0]), rel=0.01, abs=0)
        window = Renderer(weak.frame.grid(SIZE - 1), weak.splines, weak.fit.hyperparameters.orders)
        truth = patterns[index][2](*np.meshgrid(offsets, offsets))
        assert np.corrcoef(window(weak.fit.evidence.profiles).ravel(), truth.ravel())[0, 1] > 0.7


@pytest.mark.slow
def test_one_layer_is_enough_to_show_a_class_of_another_shape(monkeypatch):
    """The layer that shows it chooses the orders; a layer that speaks against any shape by more takes them, and its own profiles."""
    stack, positions, patterns = simulated(1)
    evidence = {0: -300.0, 5: 40.0}
    said = iter(evidence.values())
    monkeypatch.setattr("qpi_core.solvers.layers.one_layer.layer_models.shape_evidence", lambda _: next(said))
    state = LayerModels(problem_of(stack, positions), tuple(evidence))
    state.choose()
    state.solve(0, select=True, extended=True)
    other, telling = state.models[0, 0], state.models[0, 5]
    assert state.extended == {0} and len(telling.fit.hyperparameters.orders) > 2
    assert other.fit.hyperparameters.orders == telling.fit.hyperparameters.orders
    assert not np.array_equal(other.fit.evidence.profiles, telling.fit.evidence.profiles)
    offsets = np.arange(SIZE - 1) - SIZE // 2 + 1
    window = Renderer(other.frame.grid(SIZE - 1), other.splines, other.fit.hyperparameters.orders)
    truth = patterns[0][0](*np.meshgrid(offsets, offsets))
    assert np.corrcoef(window(other.fit.evidence.profiles).ravel(), truth.ravel())[0, 1] > 0.85


@pytest.mark.slow
def test_all_layers_say_in_the_end_where_the_defects_are(monkeypatch):
    stack, positions, _ = simulated(2)
    clicked = [own + np.random.default_rng(k).normal(0, 0.5, own.shape) for k, own in enumerate(positions)]
    problem = problem_of(stack, clicked)

    def error() -> tuple[float, int]:
        found = refinement.refine_over_layers(problem, range(LAYERS), 0.7, move=True, resize=False)
        moved = np.concatenate([one.positions - own for one, own in zip(found.classes, positions, strict=True)])
        return float(np.median(np.hypot(*moved.T))), len(found.layers)

    of_all, layers = error()
    monkeypatch.setattr(refinement, "MOST_LAYERS", 3)
    monkeypatch.setattr(refinement, "LAYERS", 3)
    of_few, fewer = error()
    assert (layers, fewer) == (LAYERS, 3)
    assert of_all < 0.75 * of_few
    assert of_all < 0.05
