"""E(q): ring averages against their definition as a plain sum over pixels, and its picture."""

import io

import numpy as np
import pytest
from PIL import Image

from qpi_core.base.errors import InputError
from qpi_core.qspace.dispersion.energy_map import energy_map
from qpi_core.results.figures.energy_map import energy_map_figure


def ring_means(kernel, pitch):
    """Sum over pixels of A(d) exp(-i q d) at every q of the grid, then the mean of its modulus within half a step of each ring."""
    size = len(kernel)
    offsets = (np.arange(size) - size // 2) * pitch
    step = 2 * np.pi / (size * pitch)
    axis = (np.arange(size) - size // 2) * step
    waves = np.exp(-1j * np.outer(axis, offsets))
    magnitude = np.abs(waves @ kernel @ waves.T)
    radius = np.hypot(axis[:, None], axis[None, :])
    return np.array([magnitude[np.abs(radius - ring * step) <= step / 2].mean() for ring in range(size // 2 + 1)])


def test_rows_are_ring_means_in_rad_per_nm():
    kernels = np.random.default_rng(2).normal(size=(3, 12, 12))
    kernels[1, 4, 4] = np.nan
    found = energy_map(kernels, [5.0, -10.0, 30.0], 0.25, window="none")
    np.testing.assert_allclose(found.q, 2 * np.pi / (12 * 0.25) * np.arange(7))
    for row in (0, 2):
        np.testing.assert_allclose(found.magnitude[row], ring_means(kernels[row], 0.25))
    assert np.isnan(found.magnitude[1]).all()
    assert found.energies_known and found.energies.tolist() == [5.0, -10.0, 30.0]


def test_a_cut_follows_its_direction_from_zero():
    """Waves along 30 degrees, downwards, and across it: each is bright on its own cut only."""
    x, y = np.meshgrid(*[(np.arange(64) - 32) * 0.2] * 2)
    angle = np.radians(30)
    along, across = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    kernels = np.stack([np.cos(4.0 * along), np.cos(6.0 * across)])
    first = energy_map(kernels, [1.0, 2.0], 0.2, angle=angle, width=1.0)
    second = energy_map(kernels, [1.0, 2.0], 0.2, angle=angle + np.pi / 2, width=1.0)
    assert first.q[0] == 0 and first.q[np.nanargmax(first.magnitude[0])] == pytest.approx(4.0, abs=0.3)
    assert second.q[np.nanargmax(second.magnitude[1])] == pytest.approx(6.0, abs=0.3)
    assert np.nanmax(first.magnitude[1]) < 0.05 * np.nanmax(second.magnitude[1])


def test_a_plane_wave_is_bright_at_its_own_wave_vector():
    x = np.arange(64) - 32
    waves = np.stack([np.cos(q * 0.2 * np.hypot(x[:, None], x[None, :])) for q in (2.0, 4.0, 6.0)])
    found = energy_map(waves, [1.0, 2.0, 3.0], 0.2)
    step = found.q[1]
    np.testing.assert_allclose(found.q[3:][np.argmax(found.magnitude[:, 3:], axis=1)], [2.0, 4.0, 6.0], atol=step)


def test_without_energies_the_layers_are_numbered():
    found = energy_map(np.ones((2, 8, 8)), [1.0, np.nan])
    assert not found.energies_known and found.energies.tolist() == [0.0, 1.0]
    assert found.q[1] == pytest.approx(2 * np.pi / 8)


def test_picture_has_a_row_for_every_energy():
    kernels = np.zeros((3, 16, 16))
    kernels[:, 8, 8] = [1.0, 2.0, 3.0]
    kernels[1] = np.nan
    picture = np.asarray(Image.open(io.BytesIO(energy_map_figure(energy_map(kernels, [0.0, 50.0, 20.0], 0.2)))).convert("RGB"))
    unmeasured = np.abs(picture.astype(int) - 191).max(axis=2) <= 2
    # The layer at 50 mV is the highest of three: its band, from 35 mV up, is the upper half of the axes.
    rows = np.flatnonzero(unmeasured.mean(axis=1) > 0.5)
    assert rows.size and rows.max() < 0.55 * len(picture)
    with pytest.raises(InputError, match="at least two layers"):
        energy_map_figure(energy_map(kernels[:1], [0.0], 0.2))


@pytest.mark.parametrize(("kernels", "bias"), [(np.zeros((4, 4)), None), (np.zeros((2, 4, 4)), [1.0])])
def test_shapes_that_do_not_fit_are_named(kernels, bias):
    with pytest.raises(InputError, match="shape"):
        energy_map(kernels, bias)
