"""kernel_size="auto": the window ends where the pattern falls under its uncertainty, and says why."""

from __future__ import annotations

import json

import numpy as np
import pytest

import qpi_core
from qpi_core import load_extractor, phenomenological_kernel, simulate_observation
from qpi_core.__main__ import main
from qpi_core.base.errors import InputError
from qpi_core.diagnostics.window import share_outside
from qpi_core.extraction.windows.window_proposal import (
    FADED,
    LARGEST_WINDOW,
    NOTHING,
    UNCERTAIN,
    WHOLE,
    angular_amplitudes,
    propose_window,
)
from qpi_core.extraction.windows.window_search import find_window, grow_window
from qpi_core.operators.coarsening import coarser_map, coarser_positions
from qpi_core.runtime.progress import Stopped
from qpi_core.synthesis.bands.band_structures import EllipticBand
from qpi_core.synthesis.bands.scattering import DefectScattering, band_pattern
from qpi_core.synthesis.simulated_maps.scenes import draw_positions, superpose
from tests.measured_data import CREATEC_SCAN as REAL_SCAN

PITCH, SHAPE = 10 / 64, (64, 64)


def pattern(decay: float) -> dict[str, float]:
    return {"symmetry_order": 4, "orientation": 0.4, "wavenumber": 3.2, "phase": 0.6, "decay": decay}


def scene(decay: float, noise: float, count: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    points = draw_positions(rng, count, SHAPE, on_grid=False)
    clean = simulate_observation(pattern(decay), points, SHAPE, PITCH)
    return (clean + noise * clean.std() * rng.standard_normal(SHAPE)).astype(np.float32), points


@pytest.fixture(scope="module")
def extractor():
    return load_extractor(device="cpu")


def test_amplitudes_are_those_of_explicit_rings():
    rng = np.random.default_rng(0)
    window = rng.standard_normal((9, 9))
    rings: dict[int, list[float]] = {}
    for y in range(9):
        for x in range(9):
            rings.setdefault(round(float(np.hypot(y - 4, 0.5 * (x - 4)))), []).append(window[y, x] ** 2)
    amplitudes, counts = angular_amplitudes(window, (1.0, 0.5))
    assert [len(rings[key]) for key in sorted(rings)] == counts.tolist()
    np.testing.assert_allclose(amplitudes, [np.sqrt(np.mean(rings[key])) for key in sorted(rings)])


def wave(side: int, length: float) -> np.ndarray:
    offsets = np.arange(side) - side // 2
    r = np.hypot(offsets[:, None], offsets)
    return np.cos(0.9 * r) * np.exp(-r / length)


def test_the_window_ends_where_the_amplitude_meets_the_uncertainty():
    # exp(-r / 8) / sqrt(2) falls under 0.05 at r = 21; between, the wave has zeros.
    found = propose_window(wave(121, 8.0), np.full((64, 64), 0.05), 120)
    assert found.ends == UNCERTAIN and found.radius_px == pytest.approx(8 * np.log(1 / 0.05 / np.sqrt(2)), abs=4)
    assert found.kernel_size == 2 * found.radius_px + 2 and "falls under its uncertainty" in found.reason


def test_little_noise_ends_at_the_last_thousandth_of_the_power():
    wide = wave(121, 8.0)
    found = propose_window(wide, np.full((64, 64), 1e-9), 120, (0.1, 0.1))
    assert found.ends == FADED and share_outside(wide, found.kernel_size) < 1e-3 < share_outside(wide, found.kernel_size - 10)
    assert f"({found.kernel_size * 0.1:.3g} nm)" in found.reason


def test_a_pattern_beyond_the_map_and_no_pattern_are_told():
    found = propose_window(wave(121, 60.0), np.full((64, 64), 1e-3), 64)
    assert found.ends == WHOLE and found.kernel_size == 64 and "cuts it" in found.reason
    found = propose_window(np.zeros((41, 41)), np.full((32, 32), 1.0), 64)
    assert found.ends == NOTHING and found.kernel_size == 64


@pytest.mark.parametrize("decay", [0.5, 1.5])
def test_slower_decays_get_larger_windows_that_hold_the_true_kernel(extractor, decay):
    observation, points = scene(decay, 0.2)
    found = find_window(extractor, observation, points, pixel_size_nm=PITCH, noise_model="white")
    truth = phenomenological_kernel(**pattern(decay), size=160, pixel_size_nm=PITCH)
    assert found.ends == FADED and share_outside(truth, found.kernel_size) < 2e-3
    assert share_outside(truth, 3 * found.kernel_size // 4) > 1e-4, "not much larger than the pattern"


def test_strong_noise_ends_the_window_earlier(extractor):
    sizes = [find_window(extractor, *scene(0.7, noise, 4), pixel_size_nm=PITCH, noise_model="white").kernel_size for noise in (0.2, 4.0)]
    assert sizes[1] < sizes[0]


def test_a_t_matrix_kernel_of_a_short_mean_free_path_gets_its_own_window(extractor):
    rng = np.random.default_rng(5)
    structure = DefectScattering(EllipticBand(-65.0, 0.4), 60.0, broadening_mev=60.0)
    kernel = band_pattern(structure, 14.0)
    points = draw_positions(rng, 10, SHAPE, on_grid=False)
    clean = superpose(kernel, points, SHAPE, PITCH)
    observation = (clean + 0.2 * clean.std() * rng.standard_normal(SHAPE)).astype(np.float32)
    found = find_window(extractor, observation, points, pixel_size_nm=PITCH, noise_model="white")
    offsets = (np.arange(161) - 80) * PITCH
    truth = kernel(*np.meshgrid(offsets, offsets))
    assert share_outside(truth, found.kernel_size) < 0.01 and found.kernel_size < 64


@pytest.mark.slow
def test_a_wide_pattern_gets_nearly_the_same_window_from_the_coarser_map(extractor, monkeypatch):
    points = draw_positions(np.random.default_rng(5), 6, (192, 192), on_grid=False)
    wide = {"symmetry_order": 4, "orientation": 0.4, "wavenumber": 3.2, "phase": 0.6, "decay": 0.09}
    clean = simulate_observation(wide, points, (192, 192), PITCH)
    image = clean + 0.1 * clean.std() * np.random.default_rng(6).standard_normal(clean.shape)
    coarse = find_window(extractor, image, points, noise_model="white")
    monkeypatch.setattr("qpi_core.extraction.windows.window_search.keeps_pattern", lambda kernels, factor: False)
    fine = find_window(extractor, image, points, noise_model="white")
    assert fine.kernel_size > 64
    assert abs(coarse.kernel_size - fine.kernel_size) <= 0.1 * fine.kernel_size


@pytest.mark.slow
def test_a_pattern_of_few_pixels_keeps_the_fine_map(extractor):
    """Means of 2 x 2 pixels would wipe out ripples with a period of four."""
    asked = []
    points = draw_positions(np.random.default_rng(5), 4, (130, 130), on_grid=False)
    ripples = {"symmetry_order": 4, "orientation": 0.0, "wavenumber": 2 * np.pi / (4 * PITCH), "phase": 0.0, "decay": 0.02}
    image = simulate_observation(ripples, points, (130, 130), PITCH)
    image = image + 0.05 * image.std() * np.random.default_rng(7).standard_normal(image.shape)

    def solve(size, factor, report):
        asked.append((size, factor))
        return [extractor.extract(coarser_map(image, factor), coarser_positions(points, factor), "harmonic", size, noise_model="white")]

    grow_window(solve, image.shape)
    assert asked[0] == (64, 1)
    assert {factor for _, factor in asked} == {1}
    assert len(asked) > 1


def test_auto_is_the_extraction_with_that_size_and_says_so(extractor):
    observation, points = scene(0.7, 0.2)
    estimate = extractor.extract(observation, points, "tikhonov", "auto", pixel_size_nm=PITCH, noise_model="white")
    same = extractor.extract(observation, points, "tikhonov", estimate.kernel_size, pixel_size_nm=PITCH, noise_model="white")
    np.testing.assert_array_equal(estimate.kernel, same.kernel)
    assert estimate.provenance["window"]["kernel_size"] == estimate.kernel_size
    with pytest.raises(InputError, match="\"auto\", but it is 'wide'"):
        extractor.extract(observation, points, "tikhonov", "wide")


@pytest.mark.slow
def test_classes_share_the_window_of_the_widest(extractor):
    observation, points = scene(0.7, 0.2)
    found = extractor.extract_classes(observation, points, ["A", "B"] * 6, "defect_average", "auto", pixel_size_nm=PITCH)
    assert {one.kernel_size for one in found.estimates.values()} == {found["A"].provenance["window"]["kernel_size"]}


@pytest.mark.slow
def test_a_stack_takes_one_window_for_all_layers(extractor):
    layers = [scene(decay, 0.2) for decay in (1.5, 0.7)]
    points = layers[0][1]
    sizes = [find_window(extractor, layer, points, pixel_size_nm=PITCH, noise_model="white").kernel_size for layer, _ in layers]
    stack = np.stack([layer for layer, _ in layers])
    found = qpi_core.extract_stack(extractor, stack, points, pixel_size_nm=PITCH, kernel_size="auto", method="defect_average")
    assert found.kernels.shape[1] == max(sizes) and found.provenance["window"]["reason"] in found.notes


@pytest.mark.slow
def test_the_command_line_knows_auto(tmp_path, capsys):
    observation, points = scene(1.0, 0.2)
    np.save(tmp_path / "map.npy", observation)
    np.savetxt(tmp_path / "p.csv", points, delimiter=",", header="x_px,y_px", comments="")
    arguments = ["extract", str(tmp_path / "map.npy"), "--positions", str(tmp_path / "p.csv"), "--out", str(tmp_path / "out")]
    arguments += ["--method", "tikhonov", "--noise-model", "white", "--pixel-size-nm", str(PITCH)]
    assert main([*arguments, "--kernel-size", "auto"]) == 0
    values = json.loads((tmp_path / "out" / "estimate.json").read_text(encoding="utf-8"))
    assert values["provenance"]["window"]["kernel_size"] == values["kernel_size"] < 40
    assert values["provenance"]["window"]["reason"] in capsys.readouterr().out.splitlines()
    with pytest.raises(SystemExit):
        main([*arguments, "--kernel-size", "automatic"])
    assert "must be a whole number of pixels or auto" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not REAL_SCAN.is_file(), reason="the measured scans lie outside of the repository")
def test_one_defect_with_its_ring_is_no_longer_cut_to_its_middle(extractor):
    from qpi_core.maps import level

    scan = qpi_core.load_map(REAL_SCAN)
    found = find_window(extractor, level(scan.layer(), "plane"), np.array([[238.9, 209.7]]), pixel_size_nm=scan.pixel_size_nm)
    # The default of 64 px is 1.4 nm, less than one period of the ring at 3.9 rad/nm.
    assert found.kernel_size > 4 / scan.pixel_size_nm[0] and found.kernel_size <= LARGEST_WINDOW


@pytest.mark.slow
@pytest.mark.parametrize("several", [False, True], ids=["one class", "two classes"])
def test_the_search_for_a_window_says_how_far_it_is_and_can_be_stopped(extractor, several):
    observation, points = scene(0.7, 0.2)
    classes = {"classes": ["A", "B"] * (len(points) // 2) + ["A"] * (len(points) % 2)} if several else {}
    extract = extractor.extract_classes if several else extractor.extract
    told: list[tuple[float, str]] = []

    def note(share, words):
        told.append((share, words))

    extract(observation, points, **classes, method="tikhonov", kernel_size="auto", pixel_size_nm=PITCH, noise_model="white", report=note)
    searching = [share for share, words in told if "for the window" in words]
    assert len(searching) > 2 and searching == sorted(searching) and searching[0] == 0 and 0.1 < searching[-1] <= 0.4
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and shares[-1] > 0.4

    def stop(share, words):
        if share > 0.05:
            raise Stopped

    with pytest.raises(Stopped):
        extract(observation, points, **classes, method="tikhonov", kernel_size="auto", pixel_size_nm=PITCH, report=stop)
