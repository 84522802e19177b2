"""Results as Igor waves and as HDF5 with the names of NeXus, read back by igor2, h5py and our own readers."""

import io
import json

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.estimates.stack_estimate import StackEstimate
from qpi_core.maps import load_map
from qpi_core.qspace.spectra import kernel_fft, q_axes
from qpi_core.results.interchange.igor import fft_ibw, igor_wave, kernel_ibw
from qpi_core.results.interchange.nexus import estimate_nexus, stack_nexus
from tests.results.test_files import make_estimate


@pytest.fixture(scope="module")
def estimate():
    sigma = np.random.default_rng(5).random((8, 8)).astype(np.float32)
    return make_estimate(uncertainty=sigma, parameters={}, provenance={"input": {"unit": "A"}})


def read_igor(content):
    igor = pytest.importorskip("igor2.binarywave", reason="igor2, an independent reader, is not installed")
    return igor.load(io.BytesIO(content))["wave"]


def test_kernel_and_fft_as_waves(estimate):
    wave, scan = read_igor(kernel_ibw(estimate)), load_map(kernel_ibw(estimate), "kernel.ibw")
    np.testing.assert_array_equal(wave["wData"][:, ::-1].T, estimate.kernel)
    np.testing.assert_array_equal(scan.layer("kernel"), estimate.kernel)
    assert scan.pixel_size_nm == pytest.approx(estimate.pixel_size_nm) and scan.unit() == "A"
    header = wave["wave_header"]
    assert header["sfA"][:2] == pytest.approx([0.2e-9, 0.1e-9]) and header["sfB"][:2] == pytest.approx([-4 * 0.2e-9, -3 * 0.1e-9])
    spectrum = read_igor(fft_ibw(estimate))
    np.testing.assert_allclose(spectrum["wData"][:, ::-1].T, np.abs(kernel_fft(estimate.kernel)))
    q_y, q_x = q_axes((8, 8), estimate.pixel_size_nm)
    assert spectrum["wave_header"]["sfB"][:2] == pytest.approx([q_x[0], -q_y[-1]])
    assert b"rad/nm" in fft_ibw(estimate) and b"rad/px" in fft_ibw(make_estimate(pixel_size_nm=None))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16])
def test_waves_of_any_real_type_and_layers(kind):
    stack = (100 * np.random.default_rng(1).normal(size=(3, 5, 7))).astype(kind)
    content = igor_wave(stack, "2 µ kernel!", "counts/s", ((0, 1e-9, "m"), (0, 2e-9, "m"), (-0.1, 0.1, "V")), "a note")
    wave, scan = read_igor(content), load_map(content, "stack.ibw")
    np.testing.assert_array_equal(np.moveaxis(wave["wData"][:, ::-1], (0, 1, 2), (2, 1, 0)), stack)
    np.testing.assert_array_equal(scan.stack(), stack)
    assert scan.bias_mv == pytest.approx([-100, 0, 100]) and scan.unit() == "counts/s" and wave["note"] == b"a note"
    assert wave["wave_header"]["bname"].rstrip(b"\0") == b"w2___kernel_"
    for wrong in (np.zeros(3), np.zeros((2, 2), complex)):
        with pytest.raises(InputError, match="2 or 3 dimensions"):
            igor_wave(wrong, "wave")


def test_nexus_names_signals_axes_and_errors(estimate):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    with h5py.File(io.BytesIO(estimate_nexus(estimate)), "r") as file:
        entry = file[file.attrs["default"]]
        assert entry.attrs["NX_class"] == "NXentry" and entry.attrs["default"] == "kernel"
        for name in ("kernel", "fft", "map"):
            group = entry[name]
            signal = group[group.attrs["signal"]]
            assert group.attrs["NX_class"] == "NXdata" and signal.attrs["units"] == "A"
            assert signal.shape == tuple(len(group[axis]) for axis in group.attrs["axes"])
        np.testing.assert_array_equal(entry["kernel/kernel"][()], estimate.kernel)
        np.testing.assert_array_equal(entry["kernel/kernel_errors"][()], estimate.uncertainty)
        np.testing.assert_allclose(entry["kernel/x"][()], (np.arange(8) - 4) * 0.2)
        np.testing.assert_allclose(entry["fft/real"][()] + 1j * entry["fft/imag"][()], kernel_fft(estimate.kernel))
        np.testing.assert_allclose(entry["fft/q_y"][()], q_axes((8, 8), estimate.pixel_size_nm)[0])
        np.testing.assert_array_equal(entry["defects/positions_px"][()], estimate.positions)
        assert json.loads(entry["process/provenance"][()]) == {"input": {"unit": "A"}} and entry["fft/q_x"].attrs["units"] == "rad/nm"
    scan = load_map(estimate_nexus(estimate), "result.nxs", channel="entry/kernel/kernel")
    np.testing.assert_array_equal(scan.layer("entry/kernel/kernel"), estimate.kernel)


def test_nexus_of_a_stack():
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    kernels = np.random.default_rng(2).normal(size=(3, 8, 8)).astype(np.float32)
    blank = np.zeros(3)
    stack = StackEstimate(
        kernels, np.abs(kernels), blank, blank, np.array([-10.0, 0.0, 10.0]), np.ones(3, bool), (0, 0, 0), ((), (), ()),
        np.ones((2, 2)), np.ones(2), (0.1, 0.2), "harmonic",
    )  # fmt: skip
    with h5py.File(io.BytesIO(stack_nexus(stack, "S")), "r") as file:
        group = file["entry/kernels"]
        assert list(group.attrs["axes"]) == ["bias", "y", "x"] and group["bias"].attrs["units"] == "mV"
        np.testing.assert_array_equal(group["kernels"][()], kernels)
        np.testing.assert_array_equal(group["kernels_errors"][()], np.abs(kernels))
        np.testing.assert_array_equal(group["bias"][()], [-10, 0, 10])
