"""Split-half stability against maps whose signal and noise are known."""

import numpy as np
import pytest

from qpi_core import Assessment, InputError, KernelParameters, assess, load_extractor, simulate_observation

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
