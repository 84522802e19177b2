"""Extractor and KernelEstimate, on maps made by explicit sums."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from qpi_core.base.errors import InputError
from qpi_core.evaluation.benchmark.scenes import draw_benchmark_scene
from qpi_core.extraction.extractor import Extractor, load_extractor
from qpi_core.extraction.methods import DEFAULT_METHOD, METHODS
from qpi_core.networks.checkpoints import LoadedModels
from qpi_core.networks.kernel_frame import CHANNELS
from qpi_core.networks.kernel_vae import KernelVAE
from qpi_core.networks.observation_encoder import ObservationEncoder
from qpi_core.networks.one_step import OneStepNetwork
from qpi_core.operators.reconstruction import reconstruct
from qpi_core.synthesis.simulated_maps.scenes import draw_scene

SIZE = 12
SMALL = {"block_out_channels": (8, 8, 16, 16), "layers_per_block": 1, "norm_num_groups": 4}


def pattern(dx, dy):
    return np.exp(-(dx**2 + dy**2) / 12.0) * np.cos(0.9 * dx + 0.3 * dy) + 0.2 * np.exp(-((dx - 2) ** 2 + dy**2) / 3.0)


def scene(weights=None, offset=0.0, shape=(44, 52), count=20, seed=0):
    rng = np.random.default_rng(seed)
    positions = np.stack([rng.integers(0, shape[1], count), rng.integers(0, shape[0], count)], axis=1).astype(float)
    y, x = np.mgrid[: shape[0], : shape[1]]
    amplitudes = np.ones(count) if weights is None else weights
    return offset + sum(w * pattern(x - px, y - py) for w, (px, py) in zip(amplitudes, positions, strict=True)), positions


def truth(size=SIZE):
    offset = np.arange(size) - size // 2
    return pattern(*np.meshgrid(offset, offset))


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    vae = KernelVAE(**SMALL)
    encoder = ObservationEncoder(CHANNELS, "kernel_frame", **SMALL)
    return LoadedModels("small", "nowhere", "0" * 64, vae.eval(), encoder.eval(), OneStepNetwork(**SMALL).eval(), "cpu")


@pytest.fixture
def without_models(monkeypatch, tmp_path):
    monkeypatch.setattr("qpi_core.networks.checkpoints.MODELS_FOLDER", tmp_path)
    monkeypatch.setattr("qpi_core.networks.checkpoints.resolve_model.__defaults__", (tmp_path,))
    monkeypatch.setattr("qpi_core.networks.checkpoints.load_models.__defaults__", (None, "cpu", tmp_path))
    return Extractor(device="cpu")


def test_tikhonov_recovers_the_kernel_and_the_parts_add_up():
    observation, positions = scene(offset=5.0)
    estimate = Extractor(device="cpu").extract(observation, positions, "tikhonov", SIZE, pixel_size_nm=0.2)
    assert np.sqrt(np.mean((estimate.kernel - truth()) ** 2)) < 0.05 * truth().std()
    assert estimate.background == pytest.approx(5.0, abs=0.02)
    np.testing.assert_allclose(estimate.reconstruction + estimate.residual, observation, atol=1e-5)
    assert estimate.pixel_size_nm == (0.2, 0.2)
    assert (estimate.latent, estimate.network_kernel) == (None, None)


def test_weights_scale_the_defects():
    weights = np.random.default_rng(1).uniform(0.5, 2.0, 20)
    observation, positions = scene(weights)
    estimate = Extractor(device="cpu").extract(observation, positions, "tikhonov", SIZE, weights=weights)
    assert np.sqrt(np.mean((estimate.kernel - truth()) ** 2)) < 0.05 * truth().std()
    np.testing.assert_array_equal(estimate.weights, weights)


def test_reconstruction_equals_an_explicit_sum():
    rng = np.random.default_rng(2)
    kernel, positions, weights = (
        rng.normal(size=(6, 6)).astype(np.float32),
        np.array([[0.0, 1.0], [7.0, 4.0], [3.0, 8.0]]),
        np.array([1, 2, -1.0]),
    )
    expected = np.full((9, 8), 0.5)
    for weight, (x, y) in zip(weights, positions.astype(int), strict=True):
        for row in range(6):
            for column in range(6):
                if 0 <= y + row - 3 < 9 and 0 <= x + column - 3 < 8:
                    expected[y + row - 3, x + column - 3] += weight * kernel[row, column]
    np.testing.assert_allclose(reconstruct(kernel, 0.5, positions, weights, (9, 8)), expected, atol=1e-5)


def test_unmeasured_pixels_take_no_part():
    observation, positions = scene()
    observation[:9, 20:] = np.nan
    estimate = Extractor(device="cpu").extract(observation, positions, "tikhonov", SIZE)
    assert np.sqrt(np.mean((estimate.kernel - truth()) ** 2)) < 0.1 * truth().std()
    np.testing.assert_array_equal(np.isnan(estimate.residual), np.isnan(observation))
    assert np.isfinite(estimate.reconstruction).all()
    assert any("was not measured" in sentence for sentence in estimate.warnings)


@pytest.mark.parametrize("method", ["one_step", "two_step"])
def test_networks_answer_in_full(models, method):
    observation, positions = scene(shape=(70, 66))
    estimate = Extractor(models=models, device="cpu").extract(observation, positions, method, SIZE)
    assert estimate.kernel.shape == (SIZE, SIZE)
    assert (estimate.latent is None) == (method == "one_step")
    assert estimate.noise_sigma == pytest.approx(np.std(estimate.residual), rel=1e-3)
    assert estimate.provenance["model"] == {"name": "small", "sha256": "0" * 64, "device": "cpu"}


def test_latent_beside_any_method_is_that_of_two_step(models):
    observation, positions = scene(shape=(70, 66))
    extractor = Extractor(models=models, device="cpu")
    estimate = extractor.extract(observation, positions, "defect_average", SIZE, with_latent=True)
    two_step = extractor.extract(observation, positions, "two_step", SIZE)
    np.testing.assert_array_equal(estimate.latent, two_step.latent)
    np.testing.assert_array_equal(estimate.network_kernel, two_step.kernel)
    np.testing.assert_array_equal(extractor.latent_of(observation, positions, SIZE).latent, two_step.latent)
    assert estimate.provenance["model"]["sha256"] == "0" * 64 and estimate.method == "defect_average"
    assert not np.array_equal(estimate.kernel, two_step.kernel)


def test_the_latent_of_refined_can_follow_and_the_kernel_is_the_same(models):
    known = draw_scene(seed=31, index=3, noise_level=0.2, count=12)
    extractor = Extractor(models=models, device="cpu")
    whole = extractor.extract(known.observation, known.positions, "refined")
    first = extractor.extract(known.observation, known.positions, "refined", with_latent=False)
    assert whole.latent is not None and first.latent is None and first.provenance["model"] is None
    followed = extractor.add_latent(first, known.observation)
    np.testing.assert_array_equal(followed.kernel, whole.kernel)
    np.testing.assert_allclose(followed.latent, whole.latent, atol=1e-3 * np.abs(whole.latent).max())


@pytest.mark.slow
def test_an_extraction_says_what_it_is_doing_and_can_be_stopped():
    observation, positions = scene()
    said: list[tuple[float, str]] = []
    note = lambda share, words: said.append((share, words))  # noqa: E731
    Extractor().extract(observation, positions, "tikhonov", SIZE, refine_positions=True, report=note)
    shares = [share for share, _ in said]
    assert shares == sorted(shares) and shares[0] == 0.0 and shares[-1] < 1 and "round 1 of" in said[0][1]
    assert [words for _, words in said[-2:]] == ["Solving for the kernel", "Comparing with the map"]

    def stop(share: float, words: str) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        Extractor().extract(observation, positions, "tikhonov", SIZE, report=stop)


def test_without_any_model_the_solvers_work_and_the_networks_say_why_not(without_models):
    observation, positions = scene()
    assert not without_models.has_model
    assert without_models.extract(observation, positions, "tikhonov", SIZE, with_latent=True).latent is None
    with pytest.raises(InputError, match="was not found.*tikhonov"):
        without_models.extract(observation, positions, "two_step", SIZE)


@pytest.mark.parametrize("method", list(METHODS))
def test_constant_map_gives_a_zero_kernel_and_says_so(models, method):
    estimate = Extractor(models=models, device="cpu").extract(np.full((20, 20), 3.5), [[4, 4], [9, 12]], method, 9)
    assert not estimate.kernel.any() and estimate.background == 3.5
    assert any("constant" in sentence for sentence in estimate.warnings)
    np.testing.assert_array_equal(estimate.residual, 0)


def test_noise_alone_is_not_sold_as_a_kernel():
    noise = np.random.default_rng(3).normal(size=(64, 64))
    estimate = Extractor(device="cpu").extract(noise, np.random.default_rng(4).uniform(0, 63, (15, 2)), "tikhonov", 16)
    assert any("may be noise" in sentence for sentence in estimate.warnings)


def test_provenance_is_strict_json_and_names_the_observation():
    observation, positions = scene()
    extractor = Extractor(device="cpu")
    estimate = extractor.extract(observation, positions, "defect_average", SIZE)
    other = extractor.extract(observation + 1e-3, positions, "defect_average", SIZE)
    text = json.dumps(estimate.with_source({"name": "map.npy", "bias_mv": float("nan")}).summary(), allow_nan=False)
    assert json.loads(text)["provenance"]["input"]["name"] == "map.npy"
    assert estimate.provenance["input"]["observation_sha256"] != other.provenance["input"]["observation_sha256"]
    assert estimate.provenance["options"]["kernel_size"] == SIZE


def test_the_input_is_not_changed():
    observation, positions = scene()
    before = observation.copy(), positions.copy()
    Extractor(device="cpu").extract(observation, positions, "tikhonov", SIZE)
    np.testing.assert_array_equal(observation, before[0])
    np.testing.assert_array_equal(positions, before[1])


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"method": "wiener"}, "tikhonov"),
        ({"kernel_size": 45}, "kernel_size"),
        ({"kernel_size": 12.5}, "kernel_size"),
        ({"positions": np.zeros((0, 2))}, "position"),
        ({"positions": [[100.0, 3.0]]}, "position"),
        ({"weights": [1.0]}, "weights"),
        ({"observation": np.zeros((3, 44, 52))}, "layer"),
        ({"observation": np.full((44, 52), np.nan)}, "measured"),
        ({"pixel_size_nm": 0.0}, "pixel_size_nm"),
    ],
)
def test_bad_input_gets_a_sentence(changed, word):
    observation, positions = scene()
    arguments = {"observation": observation, "positions": positions, "method": "tikhonov", "kernel_size": SIZE} | changed
    with pytest.raises(InputError, match=word):
        Extractor(device="cpu").extract(**arguments)


@pytest.mark.parametrize("device", ["gpu", "", "cuda:x", 0])
def test_unknown_devices_are_told(device):
    with pytest.raises(InputError, match="device"):
        load_extractor(device=device)


def test_missing_gpu_and_unknown_model_are_told_at_once():
    with pytest.raises(InputError, match="was not found"):
        load_extractor("no-such-model")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="cuda"):
            load_extractor(device="cuda")


def test_the_default_method_is_one_of_the_methods_and_names_agree():
    assert DEFAULT_METHOD in METHODS
    assert all(name == method.name for name, method in METHODS.items())


def test_an_extractor_is_made_without_importing_torch():
    code = "import sys; from qpi_core import load_extractor; load_extractor(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("index", [4, 8])
def test_between_pixels_refined_keeps_what_the_harmonic_solver_has_right(index):
    scene = draw_benchmark_scene(5, index, "off-grid", 0.05)
    found = {
        method: Extractor().extract(scene.observation, scene.positions, method=method, pixel_size_nm=scene.pixel_size_nm, with_latent=False)
        for method in ("harmonic", "refined")
    }
    errors = {method: float(np.sqrt(np.mean((estimate.kernel - scene.kernel) ** 2))) for method, estimate in found.items()}
    # The kernel sampled on pixels cannot repeat the map between them; that is no reason to correct it.
    assert errors["refined"] <= 1.02 * errors["harmonic"]
