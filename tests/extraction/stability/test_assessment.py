"""Split-half stability against maps whose signal and noise are known."""

import numpy as np
import pytest

from qpi_core import (
    Assessment,
    InputError,
    KernelParameters,
    assess,
    assess_classes,
    assess_stack,
    extract_stack,
    load_extractor,
    simulate_observation,
)
from qpi_core.extraction.stability.halves import half_kernels

SHAPE, SIZE = (48, 56), 21
PARAMETERS = KernelParameters(symmetry_order=4, orientation=0.3, wavenumber=3.0, phase=0.7, decay=0.8)
POSITIONS = np.random.default_rng(5).uniform((1, 1), (54, 46), (16, 2))
TOOL = load_extractor(device="cpu")


def signal() -> np.ndarray:
    return simulate_observation(PARAMETERS, POSITIONS, SHAPE)


def judge(observation, positions=POSITIONS, **options) -> Assessment:
    return assess(TOOL, observation, positions, method="tikhonov", kernel_size=SIZE, **options)


def test_a_clean_map_is_stable_and_pure_noise_is_not():
    clean, noise = signal(), np.random.default_rng(1).normal(size=SHAPE)
    good, bad = judge(clean + 0.02 * clean.std() * noise), judge(noise)
    assert good.correlation > 0.95 and good.full_list_correlation > 0.97 and good.verdict.startswith("Stable")
    assert abs(bad.correlation) < 0.25 and bad.verdict.startswith("Not stable")
    assert bad.residual_is_white and abs(bad.residual_correlation) < 0.1
    assert len(good.correlations) == 2 and good.correlation == pytest.approx(np.mean(good.correlations))
    r = good.correlation
    assert good.full_list_correlation == pytest.approx(r / (0.5 * (1 + r)))


def test_wrong_positions_are_unstable_and_leave_structure():
    wrong = np.random.default_rng(8).uniform((1, 1), (54, 46), POSITIONS.shape)
    result = judge(signal(), wrong, splits=1)
    assert result.correlation < 0.5 and not result.residual_is_white
    assert "structured" in result.verdict


def test_halves_share_no_pixel_and_cover_the_map():
    """A stand-in for the extractor sees what each half is made from."""
    seen = []

    class Recorder:
        def extract(self, values, *arguments, **options):
            seen.append(values)
            return TOOL.extract(values, *arguments, **options)

    image, messages = signal(), []
    estimate = TOOL.extract(image, POSITIONS, "defect_average", SIZE)
    assess(
        Recorder(),
        image,
        POSITIONS,
        method="defect_average",
        kernel_size=SIZE,
        splits=1,
        estimate=estimate,
        report=lambda *step: messages.append(step),
    )
    first, second = map(np.isfinite, seen)
    assert (first ^ second).all() and len(messages) == 2
    y, x = np.indices(SHAPE)
    nearest = np.argmin([np.hypot(x - px, y - py) for px, py in POSITIONS], axis=0)
    owned = [first[nearest == defect] for defect in range(len(POSITIONS))]
    assert all(pixels.all() or not pixels.any() for pixels in owned)
    assert sum(pixels.all() for pixels in owned) == len(POSITIONS) // 2


def test_what_cannot_be_judged_gets_a_sentence():
    image = signal()
    with pytest.raises(InputError, match="positions holds 3 defects"):
        judge(image, POSITIONS[:3])
    with pytest.raises(InputError, match="splits"):
        judge(image, splits=0)


LABELS = ["A", "B"] * 8
OTHER = KernelParameters(symmetry_order=2, orientation=1.1, wavenumber=4.5, phase=0.2, decay=0.8)


def several_kinds() -> np.ndarray:
    return sum(simulate_observation(kind, POSITIONS[start::2], SHAPE) for start, kind in ((0, PARAMETERS), (1, OTHER)))


def halves_agree(stacked: bool, several: bool, layers: np.ndarray) -> list[float]:
    """Return the correlation of every class (and layer) for layers (energies, height, width), of which a map is the first."""
    if stacked:
        result = extract_stack(TOOL, layers, POSITIONS, classes=LABELS if several else None, kernel_size=SIZE, method="tikhonov")
        return [value for one in assess_stack(TOOL, layers, result).values() for value in one.correlations.mean(axis=0)]
    if several:
        result = TOOL.extract_classes(layers[0], POSITIONS, LABELS, "tikhonov", SIZE)
        return [one.correlation for one in assess_classes(TOOL, layers[0], result, splits=1).values()]
    return [judge(layers[0], splits=1).correlation]


@pytest.mark.slow
@pytest.mark.parametrize("several", [False, True], ids=["one class", "two classes"])
@pytest.mark.parametrize("stacked", [False, True], ids=["map", "stack"])
def test_patterns_are_stable_and_noise_is_not_in_every_case(stacked, several):
    clean, rng = several_kinds() if several else signal(), np.random.default_rng(1)
    noise = rng.normal(size=(2, *SHAPE))
    good = halves_agree(stacked, several, np.stack([clean, 2 * clean]) + 0.02 * clean.std() * noise)
    bad = halves_agree(stacked, several, noise)
    assert len(good) == len(bad) == (1 + stacked) * (1 + several)
    assert min(good) > 0.85 and max(np.abs(bad)) < 0.35


def test_a_stack_says_which_layers_are_stable():
    clean, noise = signal(), np.random.default_rng(1).normal(size=(3, *SHAPE))
    layers = np.stack([clean, clean, 0 * clean]) + np.array([0.02, 0.02, 1.0])[:, None, None] * clean.std() * noise
    layers = np.concatenate([layers, np.full((1, *SHAPE), np.nan)])
    result = extract_stack(TOOL, layers, POSITIONS, kernel_size=SIZE, method="tikhonov")
    found = assess_stack(TOOL, layers, result)[""]
    assert found.verdict.startswith("Stable") and found.verdict.endswith("2 of 3 layers are stable, 1 are not.")
    r = found.correlations[0]
    assert np.isnan(r[3]) and np.isnan(found.full_list_correlation[3])
    assert found.full_list_correlation[:2] == pytest.approx(2 * r[:2] / (1 + r[:2]))


def test_every_class_is_halved_and_needs_enough_defects():
    few = ["A"] * 13 + ["B"] * 3
    result = TOOL.extract_classes(signal(), POSITIONS, few, "defect_average", SIZE)
    with pytest.raises(InputError, match="3 defects of the class 'B'"):
        assess_classes(TOOL, signal(), result)
    owned = []

    def look(values: np.ndarray) -> None:
        x, y = np.round(POSITIONS).astype(int).T
        owned.append(np.isfinite(values[y, x]))

    list(half_kernels(look, signal(), POSITIONS, labels=LABELS, splits=2))
    for half in owned:
        # A defect whose rounded place is nearer to a neighbour may be counted for the other half.
        assert all(abs(half[start::2].sum() - 4) <= 1 for start in (0, 1))
