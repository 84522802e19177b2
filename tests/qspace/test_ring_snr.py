"""Signal to noise of a ring on simulated maps with known kernel and noise, beside the square-root law."""

from dataclasses import replace

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.estimates.stack_estimate import StackEstimate
from qpi_core.extraction.stability.halves import half_kernels
from qpi_core.qspace.ring_snr import RingSource, ring_signal
from qpi_core.qspace.spectra import fft_magnitude, kernel_window

SIZE, PITCH, SIGMA = 20, 0.2, 0.4
RING = (4.0, 7.0)
OFFSET = np.arange(SIZE) - SIZE // 2
RADIUS = np.hypot(OFFSET[:, None], OFFSET[None, :])
TRUTH = np.cos(5.5 * RADIUS * PITCH) * np.exp(-(RADIUS**2) / 20)


def crops(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A map of `count` squared kernels side by side, without overlap, and their positions."""
    clean = np.tile(TRUTH, (count, count))
    centres = SIZE // 2 + SIZE * np.arange(count)
    positions = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2).astype(float)
    return clean + SIGMA * np.random.default_rng(seed).normal(size=clean.shape), positions


def mean_of_crops(image: np.ndarray, positions: np.ndarray) -> np.ndarray:
    cut = [image[int(y) - SIZE // 2 :, int(x) - SIZE // 2 :][:SIZE, :SIZE] for x, y in positions]
    return np.nanmean(cut, axis=0)


def estimate_of(image: np.ndarray, positions: np.ndarray, kernel: np.ndarray, **changed) -> KernelEstimate:
    values = {
        "kernel": kernel.astype(np.float32),
        "method": "defect_average",
        "kernel_size": SIZE,
        "reconstruction": image.astype(np.float32),
        "residual": np.zeros(image.shape, np.float32),
        "background": 0.0,
        "noise_sigma": SIGMA,
        "positions": positions,
        "weights": np.ones(len(positions)),
        "wide_kernel": kernel.astype(np.float32),
        "pixel_size_nm": (PITCH, PITCH),
    }
    return KernelEstimate(**(values | changed))


def on_ring(size: int) -> np.ndarray:
    q = 2 * np.pi * np.fft.fftshift(np.fft.fftfreq(size, PITCH))
    radius = np.hypot(q[:, None], q[None, :])
    return (radius >= RING[0]) & (radius <= RING[1])


@pytest.mark.parametrize(("window", "count"), [("none", 6), ("hann", 6), ("none", 12)])
def test_mean_of_separate_crops_follows_the_square_root_law(window, count):
    image, positions = crops(count, seed=count)
    kernel = mean_of_crops(image, positions)
    rng = np.random.default_rng(5)
    differences = []
    for _ in range(4):
        half = rng.permutation(len(positions)) < len(positions) // 2
        differences.append(mean_of_crops(image, positions[half]) - mean_of_crops(image, positions[~half]))
    signal = ring_signal(estimate_of(image, positions, kernel), RING, window, differences)
    # Independent of the module: the truth's power over that of white noise in the same window.
    noise = SIGMA**2 * (kernel_window((SIZE, SIZE), window) ** 2).sum()
    one = np.sqrt((fft_magnitude(TRUTH, window) ** 2)[on_ring(SIZE)].mean() / noise)
    assert signal.law_gain == pytest.approx(count) and signal.ring_pixels == on_ring(SIZE).sum()
    assert signal.one_defect == pytest.approx(one, rel=0.1)
    assert signal.gain == pytest.approx(count, rel=0.12)
    assert signal.kernel == pytest.approx(signal.law, rel=0.15)


def test_noise_from_halves_is_the_noise_that_is_there():
    measured, there = [], []
    for seed in range(100, 130):
        image, positions = crops(4, seed)
        kernel = mean_of_crops(image, positions)
        first = np.arange(16) % 2 == 0
        difference = mean_of_crops(image, positions[first]) - mean_of_crops(image, positions[~first])
        signal = ring_signal(estimate_of(image, positions, kernel), RING, half_differences=[difference])
        measured.append(SIGMA**2 * SIZE**2 / signal.gain**2)
        there.append((fft_magnitude(kernel - TRUTH) ** 2)[on_ring(SIZE)].mean())
    assert np.mean(measured) == pytest.approx(np.mean(there), rel=0.15)
    assert np.mean(there) == pytest.approx(SIGMA**2 * SIZE**2 / 16, rel=0.15)


def test_the_whole_map_at_random_positions_is_weaker_and_speckled():
    rng = np.random.default_rng(7)
    side, count = 200, 30
    positions = rng.integers(SIZE, side - SIZE, (count, 2)).astype(float)
    image = np.zeros((side, side))
    for x, y in positions.astype(int):
        image[y - SIZE // 2 :, x - SIZE // 2 :][:SIZE, :SIZE] += TRUTH
    quiet = ring_signal(estimate_of(image, positions, TRUTH, noise_sigma=0.0), RING)
    assert quiet.one_defect == quiet.whole_map == np.inf and quiet.speckle == pytest.approx(1, abs=0.15)
    image += SIGMA * rng.normal(size=image.shape)
    signal = ring_signal(estimate_of(image, positions, TRUTH), RING)
    # sqrt(n S / (P s^2)): the window of the kernel has SIZE^2 pixels, the map side^2.
    assert signal.whole_map == pytest.approx(signal.law * SIZE / side, rel=0.15)
    assert signal.kernel is None and signal.gain is None
    assert signal.speckle == quiet.speckle, "speckle belongs to the positions, not to the noise"


def test_noise_alone_has_no_ring():
    image = SIGMA * np.random.default_rng(8).normal(size=(120, 120))
    positions = np.random.default_rng(9).uniform(10, 110, (20, 2))
    signal = ring_signal(estimate_of(image, positions, np.zeros((SIZE, SIZE))), RING, half_differences=[np.ones((SIZE, SIZE))])
    assert signal.whole_map < 0.4 and signal.kernel == 0 and signal.one_defect == 0


def test_a_kernel_of_noise_has_no_signal():
    """The kernel's own noise is taken out of its power before that is called signal."""
    ratios = []
    for seed in range(8):
        image, positions = crops(4, seed)
        noise = image - np.tile(TRUTH, (4, 4))
        first = np.arange(16) % 2 == 0
        difference = mean_of_crops(noise, positions[first]) - mean_of_crops(noise, positions[~first])
        ratios.append(ring_signal(estimate_of(noise, positions, mean_of_crops(noise, positions)), RING, half_differences=[difference]))
    assert np.median([ratio.kernel for ratio in ratios]) < 0.6
    assert np.median([ratio.one_defect for ratio in ratios]) < 0.15


def test_half_kernels_see_each_pixel_once():
    image, positions = crops(4, seed=3)
    seen = []

    def kernel_of(half: np.ndarray) -> np.ndarray:
        seen.append(np.isfinite(half))
        return mean_of_crops(half, positions)

    pairs = list(half_kernels(kernel_of, image.astype(np.float32), positions, splits=2))
    assert len(pairs) == 2 and len(seen) == 4
    assert (seen[0] ^ seen[1]).all() and (seen[2] ^ seen[3]).all() and not np.array_equal(seen[0], seen[2])
    signal = ring_signal(estimate_of(image, positions, mean_of_crops(image, positions)), RING, half_differences=[a - b for a, b in pairs])
    assert signal.gain == pytest.approx(4, rel=0.3)


@pytest.mark.parametrize(
    "call",
    [
        lambda e: ring_signal(e, (7.0, 4.0)),
        lambda e: ring_signal(e, (1e4, 2e4)),
        lambda e: ring_signal(e, RING, "blackman"),
        lambda e: ring_signal(e, RING, half_differences=[np.zeros((3, 3))]),
        lambda e: ring_signal(e, RING, half_differences=[]),
        lambda e: list(half_kernels(lambda image: image, np.zeros((8, 8), np.float32), np.zeros((9, 2)), splits=0)),
    ],
)
def test_bad_input_gets_a_sentence(call):
    image, positions = crops(2, seed=0)
    with pytest.raises(InputError, match=r"\w+ .*\."):
        call(estimate_of(image, positions, TRUTH))


def test_a_layer_of_a_stack_has_the_ring_of_the_same_map():
    image, positions = crops(4, seed=1)
    kernel = mean_of_crops(image, positions)
    alone = ring_signal(estimate_of(image, positions, kernel), RING)
    layers, blank = np.stack([kernel, 3 * kernel]).astype(np.float32), np.full(2, 0.0)
    stack = StackEstimate(
        kernels=layers,
        uncertainties=0 * layers,
        noise_sigma=np.array([SIGMA, 3 * SIGMA]),
        background=blank,
        bias_mv=np.array([10.0, 20.0]),
        done=np.array([True, True]),
        symmetry_order=(None, None),
        warnings=((), ()),
        positions=positions,
        weights=np.ones(len(positions)),
        pixel_size_nm=(PITCH, PITCH),
        method="defect_average",
    )
    assert ring_signal(RingSource.of_layer(stack, 0, image.astype(np.float32)), RING) == alone
    scaled = ring_signal(RingSource.of_layer(stack, 1, (3 * image).astype(np.float32)), RING)
    assert scaled.one_defect == pytest.approx(alone.one_defect) and scaled.whole_map == pytest.approx(alone.whole_map, rel=1e-5)
    with pytest.raises(InputError, match="layer 1 has no kernel"):
        RingSource.of_layer(replace(stack, done=np.array([True, False])), 1, image)
