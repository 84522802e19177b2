"""One problem: (one map | stack) x (one class | several) x (given | refined positions) give the same answer to the same question."""

import numpy as np
import pytest

import qpi_core
from qpi_core.extraction.extractor import Extractor

SHAPE, SIZE, ENERGIES, EACH = (52, 60), 17, 2, 10
WAVES = {"A": 0.5, "B": 0.9}
TOOL = Extractor(device="cpu")


def rings(offsets_x, offsets_y, label, energy):
    radii = np.hypot(offsets_x, offsets_y)
    return np.exp(-((radii / 6) ** 2)) * np.cos((WAVES[label] + 0.08 * energy) * radii)


@pytest.fixture(scope="module")
def scenes():
    """Stack, positions, labels and clicks 0.5 px off, for one class and for two; noise a third of the pattern."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    found = {}
    for names in ("A", "AB"):
        rng = np.random.default_rng(8)
        labels = list(names) * EACH
        positions = rng.uniform([4, 4], [SHAPE[1] - 5, SHAPE[0] - 5], (len(labels), 2))
        pairs = list(zip(positions, labels, strict=True))
        clean = np.array([sum(rings(x - px, y - py, label, energy) for (px, py), label in pairs) for energy in range(ENERGIES)])
        stack = clean + 0.3 * clean.std() * rng.standard_normal(clean.shape)
        found[len(names) > 1] = stack.astype(np.float32), positions, labels, positions + 0.5 * rng.standard_normal(positions.shape)
    return found


def solved(stack, places, labels, stacked, several, **options):
    """Return the answer, and of every class its estimate and kernels (energies, k, k)."""
    classes = labels if several else None
    options = {"method": "harmonic", "kernel_size": SIZE, "noise_model": "white", **options}
    if stacked:
        answer = qpi_core.extract_stack(TOOL, stack, places, classes=classes, **options)
    elif several:
        answer = TOOL.extract_classes(stack[0], places, classes, **options)
    else:
        answer = TOOL.extract(stack[0], places, **options)
    parts = {name: answer[name] for name in answer.names} if several else {"A": answer}
    return answer, {name: (one, one.kernels if stacked else one.kernel[None]) for name, one in parts.items()}


@pytest.mark.parametrize("refined", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["given", "refined"])
@pytest.mark.parametrize("several", [False, True], ids=["one class", "two classes"])
@pytest.mark.parametrize("stacked", [False, True], ids=["map", "stack"])
def test_kernels_positions_and_record_in_every_combination(scenes, stacked, several, refined):
    stack, positions, labels, clicks = scenes[several]
    given = clicks if refined else positions
    answer, parts = solved(stack, given, labels, stacked, several, refine_positions=refined)
    assert set(parts) == set(labels)
    offsets = np.arange(SIZE) - SIZE // 2
    for label, (estimate, kernels) in parts.items():
        assert kernels.shape == (ENERGIES if stacked else 1, SIZE, SIZE)
        truth = np.array([rings(offsets[None, :], offsets[:, None], label, energy) for energy in range(len(kernels))])
        assert np.sqrt(np.mean((kernels - truth) ** 2)) < 0.04
        orders = estimate.symmetry_order if stacked else (estimate.symmetry_order,)
        assert set(orders) == {0} and estimate.method == "harmonic" and len(estimate.weights) == EACH
        deviations = estimate.uncertainties if stacked else estimate.uncertainty[None]
        assert np.mean(np.abs(kernels - truth) < 3 * deviations) > 0.8
        own = [place for place, name in zip(positions, labels, strict=True) if name == label]
        off = np.hypot(*(estimate.positions - own).T)
        assert np.median(off) < 0.15 if refined else not off.any()
        assert ("refinement" in estimate.provenance) == refined
        assert estimate.provenance["options"]["kernel_size"] == SIZE
    if several:
        together = np.vstack([one.positions for one, _ in parts.values()])
        assert sorted(answer.positions.tolist()) == sorted(together.tolist())
