"""Results in other programs' forms, read back by other means."""

from __future__ import annotations

import io

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.maps import load_map, load_positions
from qpi_core.results.interchange.arrays import estimate_npz
from qpi_core.results.interchange.gwyddion import estimate_gwy
from qpi_core.results.interchange.tables import kernel_csv, positions_csv
from tests.results.test_files import make_estimate


@pytest.fixture(scope="module")
def estimate():
    sigma = np.random.default_rng(5).random((8, 8)).astype(np.float32)
    return make_estimate(uncertainty=sigma, parameters={}, provenance={"input": {"unit": "A"}})


def test_npz_holds_the_arrays_and_their_axes(estimate):
    with np.load(io.BytesIO(estimate_npz(estimate)), allow_pickle=False) as found:
        for name in ("kernel", "uncertainty", "reconstruction", "residual", "weights"):
            np.testing.assert_array_equal(found[name], getattr(estimate, name))
        np.testing.assert_allclose(found["x_nm"], (np.arange(8) - 4) * 0.2)
        np.testing.assert_allclose(found["y_nm"], (np.arange(8) - 4) * 0.1)
        column = int(np.argmin(abs(found["qx_rad_per_nm"] - 2 * np.pi / (8 * 0.2))))
        wave = np.exp(-1j * found["qx_rad_per_nm"][column] * found["x_nm"])
        assert found["fft"][4, column] == pytest.approx(complex((estimate.kernel * wave).sum()), abs=1e-5)
    with np.load(io.BytesIO(estimate_npz(make_estimate(pixel_size_nm=None))), allow_pickle=False) as found:
        assert "x_nm" not in found and "uncertainty" not in found


def test_csv_gives_every_pixel_with_its_place(estimate):
    lines = kernel_csv(estimate).decode().splitlines()
    assert lines[0] == "x_nm,y_nm,kernel,standard_deviation" and len(lines) == 65
    for row, column in ((0, 0), (4, 4), (7, 2)):
        x, y, value, deviation = (float(cell) for cell in lines[1 + 8 * row + column].split(","))
        assert (x, y) == pytest.approx(((column - 4) * 0.2, (row - 4) * 0.1))
        assert np.float32(value) == estimate.kernel[row, column] and np.float32(deviation) == estimate.uncertainty[row, column]
    assert kernel_csv(make_estimate(pixel_size_nm=None)).startswith(b"x_px,y_px,kernel\n")


def test_positions_come_back_to_the_last_bit(estimate):
    found = load_positions(positions_csv(estimate), "positions.csv", None, (14, 18))
    np.testing.assert_array_equal(found.positions_px, estimate.positions)


def test_gwyddion_file_has_the_channels_and_the_scale(estimate):
    gwyfile = pytest.importorskip("gwyfile")
    fields = gwyfile.util.get_datafields(gwyfile.load(io.BytesIO(estimate_gwy(estimate))))
    assert list(fields) == ["Kernel", "Uncertainty", "Observation", "Reconstruction", "Residual"]
    np.testing.assert_array_equal(fields["Kernel"].data, estimate.kernel.astype(np.float64))
    assert fields["Kernel"].xreal == pytest.approx(8 * 0.2e-9) and fields["Kernel"].yreal == pytest.approx(8 * 0.1e-9)
    # Channels of the largest size are read unless one is named.
    assert load_map(estimate_gwy(make_estimate()), "r.gwy").channels == ("Observation", "Reconstruction", "Residual")
    assert load_map(estimate_gwy(make_estimate()), "r.gwy", channel="Kernel").channels == ("Kernel",)
    with pytest.raises(InputError, match="pixel size"):
        estimate_gwy(make_estimate(pixel_size_nm=None))
