"""The view: order of its steps, shared limits, phase, profiles, and the picture file."""

import io

import numpy as np
import pytest
from PIL import Image

from qpi_core.base.errors import InputError
from qpi_core.qspace.profiles import qspace_profile
from qpi_core.qspace.spectra import kernel_fft, kernel_window, line_cut, radial_average
from qpi_core.qspace.surface_lattice import surface_lattice
from qpi_core.qspace.symmetrising import symmetrise
from qpi_core.qspace.view import Q_UNITS, QSpaceView, kernel_spectrum, qspace_pictures
from qpi_core.results.figures.picture_style import PictureStyle
from qpi_core.results.figures.qspace import qspace_picture
from tests.results.test_files import make_estimate

RNG = np.random.default_rng(4)
KERNEL = RNG.normal(size=(16, 16))
COARSE = PictureStyle(dots_per_inch=40)


def test_window_symmetry_padding_and_transform_in_this_order():
    view = QSpaceView(window="hann", padding=2, symmetry_order=4, mirror_angle=0.0)
    spectrum = kernel_spectrum(KERNEL, view, (0.1, 0.1))
    parts = symmetrise(KERNEL * kernel_window((16, 16), "hann"), 4, 0.0)
    np.testing.assert_allclose(spectrum.values, kernel_fft(parts.kept, padded_size=32), atol=1e-10)
    np.testing.assert_allclose(spectrum.values + spectrum.removed, kernel_fft(KERNEL, "hann", 32), atol=1e-10)
    assert spectrum.removed_share == pytest.approx(parts.removed_share)
    # Parseval: the share is the same over q.
    powers = [(np.abs(part) ** 2).sum() for part in (spectrum.removed, kernel_fft(KERNEL, "hann", 32))]
    assert powers[0] / powers[1] == pytest.approx(spectrum.removed_share, rel=1e-6)
    assert spectrum.q_step == pytest.approx((2 * np.pi / 3.2,) * 2)


def test_rotations_are_those_of_the_surface():
    offset = np.arange(40) - 20
    kernel = np.cos(3.0 * np.hypot(offset[:, None] * 0.2, offset[None, :] * 0.3)) * np.exp(-(offset[:, None] ** 2 + 2.25 * offset**2) / 60)
    view = QSpaceView(symmetry_order=4)
    assert kernel_spectrum(kernel, view, (0.2, 0.3)).removed_share < 1e-3 < 0.05 < kernel_spectrum(kernel, view).removed_share


def test_pictures_share_limits_and_units_have_their_two_pi():
    observation = RNG.normal(size=(40, 60))
    view = QSpaceView(beside="map")
    first, whole = qspace_pictures(kernel_spectrum(KERNEL, view, 0.2), view, observation, np.ones(3), 0.2)
    assert first.limits == whole.limits and whole.kind == "magnitude"
    np.testing.assert_allclose(np.array(whole.q_step) * whole.values.shape, 2 * np.pi / 0.2)
    np.testing.assert_allclose(np.array(first.q_step) * first.values.shape, 2 * np.pi / 0.2)
    logarithmic = QSpaceView(beside="map", logarithmic=True)
    low = qspace_pictures(kernel_spectrum(KERNEL, logarithmic), logarithmic, observation, np.ones(3))
    assert low[0].limits == low[1].limits and low[0].limits[1] == pytest.approx(np.log10(first.limits[1]))
    np.testing.assert_allclose(low[0].drawn, np.log10(np.abs(kernel_fft(KERNEL))), atol=1e-9)
    # A first Bragg peak at 2 pi / a: 15.7 rad/nm and 1.57 1/Å for 0.4 nm.
    assert 2 * np.pi / 0.4 * Q_UNITS["1/Å"] == pytest.approx(2 * np.pi / 4.0)


def test_phase_and_real_part_have_their_origin_at_the_centre():
    moved = np.zeros((16, 16))
    moved[8, 11] = 2.0
    view = QSpaceView(beside="phase")
    phase = qspace_pictures(kernel_spectrum(moved, view), view)[1]
    q_x = 2 * np.pi * (np.arange(16) - 8) / 16
    difference = np.angle(np.exp(1j * (phase.values - (-3 * q_x)[None, :])))
    assert np.abs(difference).max() < 1e-9 and phase.limits == (-np.pi, np.pi)
    even = -np.exp(-((np.arange(17)[:, None] - 8) ** 2 + (np.arange(17) - 8) ** 2) / 8)
    values = qspace_pictures(kernel_spectrum(even, view), view)[1].values
    assert np.isnan(values).any() and (np.abs(values[np.isfinite(values)] - np.pi) < 1e-9).all(), "negative everywhere: pi, never -pi"
    real = qspace_pictures(kernel_spectrum(moved, QSpaceView(beside="real")), QSpaceView(beside="real"))[1]
    np.testing.assert_allclose(real.values[5], 2 * np.cos(3 * q_x), atol=1e-9)


def test_profiles_average_power_parts_and_complex_values():
    spectrum, step = kernel_fft(KERNEL), (2 * np.pi / 1.6, 2 * np.pi / 3.2)
    pitch = (0.1, 0.2)
    rings = qspace_profile(spectrum, step)
    np.testing.assert_allclose(rings.values**2, radial_average(np.abs(spectrum) ** 2, pitch).values)
    cut = qspace_profile(spectrum, step, "real", angle=0.6, width=4.0)
    np.testing.assert_allclose(cut.values, line_cut(spectrum.real, pitch, 0.6, 4.0).values)
    turned = qspace_profile(spectrum * np.exp(0.7j), step, "phase", 0.3)
    expected = qspace_profile(spectrum, step, "phase", 0.3).values + 0.7
    np.testing.assert_allclose(np.exp(1j * turned.values), np.exp(1j * expected), atol=1e-9)
    hidden = qspace_profile(spectrum, step, "phase", 0.3, least_magnitude=1e9)
    assert np.isnan(hidden.values).all()


def test_a_large_map_is_averaged_over_blocks():
    observation = RNG.normal(size=(1100, 530))
    view = QSpaceView(beside="map", symmetry_order=2)
    whole = qspace_pictures(kernel_spectrum(KERNEL, view), view, observation, np.ones(1))[1]
    assert max(whole.values.shape) <= 512
    assert np.mean(whole.values**2) == pytest.approx(observation.size, rel=0.05)


@pytest.mark.parametrize("beside", ["map", "phase", "removed"])
def test_picture_file_holds_the_settings(beside):
    lattice = surface_lattice("hexagonal", 0.5, orientation=np.radians(10))
    view = QSpaceView(beside, "tukey", 2, beside == "map", "1/Å", lattice, 3 if beside == "removed" else 1)
    with Image.open(io.BytesIO(qspace_picture(make_estimate(), view, COARSE))) as picture:
        assert picture.text["Window"] == "tukey" and "orientation 10 degrees" in picture.text["Lattice"]
        assert ("Symmetrised" in picture.text) == (beside == "removed")
        assert picture.width > 1.8 * picture.height, "two pictures"


def test_the_lattice_is_drawn():
    estimate = make_estimate()
    bare, drawn = (qspace_picture(estimate, QSpaceView(lattice=lattice), COARSE) for lattice in (None, surface_lattice("square", 0.5)))
    pixels = [np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int) for png in (bare, drawn)]
    assert np.abs(pixels[0] - pixels[1]).max() > 100


@pytest.mark.parametrize(
    "call",
    [
        lambda: QSpaceView("everything"),
        lambda: QSpaceView("removed"),
        lambda: QSpaceView(padding=3),
        lambda: QSpaceView(q_unit="1/m"),
        lambda: QSpaceView(symmetry_order=5),
        lambda: QSpaceView(mirror_angle=float("nan")),
        lambda: kernel_spectrum(np.zeros((4, 6)), QSpaceView()),
        lambda: qspace_pictures(kernel_spectrum(KERNEL, QSpaceView("map")), QSpaceView("map")),
        lambda: qspace_profile(np.zeros((4, 4)), (1.0, 1.0), "argument"),
        lambda: qspace_profile(np.zeros(4), (1.0, 1.0)),
    ],
)
def test_bad_input_gets_a_sentence(call):
    with pytest.raises(InputError, match=r"\w+ .*\."):
        call()
