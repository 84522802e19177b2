"""dI/dV out of the current and means of both sweeps, against scipy's filter and explicit sums."""

import numpy as np
import pytest
from scipy.signal import savgol_filter

from qpi_core.base.errors import InputError
from qpi_core.maps import load_map
from qpi_core.maps.preparation import AverageSweeps, Crop, DeriveConductance, Level, NormaliseSetPoint, Preparation
from qpi_core.workflows.prepared_stack import prepare_stack
from tests.maps.written import written_files as written

SHAPE, POINTS = (6, 7), 21
ENERGIES = np.linspace(-0.2, 0.2, POINTS)


def currents(seed=0):
    """I(E) of every pixel, (energies, height, width): smooth curves with noise."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=(3, *SHAPE))
    v = ENERGIES[:, None, None]
    return a * v + b * v**2 + c * v**3 + 1e-4 * rng.normal(size=(POINTS, *SHAPE))


def scan_of(**channels):
    return load_map(written.npz(bias_mv=1e3 * ENERGIES, **channels), "sweep.npz")


def prepared(scan, channel, *steps):
    return prepare_stack(scan, channel, Preparation(steps)).values


@pytest.mark.parametrize(("window", "order"), [(3, 1), (7, 2), (9, 3), (21, 2)])
def test_even_energies_give_the_savitzky_golay_filter(window, order):
    current = currents()
    step = ENERGIES[1] - ENERGIES[0]
    expected = savgol_filter(current, window, order, deriv=1, delta=step, axis=0, mode="interp")
    found = prepared(scan_of(Current=current), "Current", DeriveConductance(window, order))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_uneven_energies_are_fitted_where_they_are():
    v = np.sort(np.random.default_rng(4).uniform(-0.2, 0.2, POINTS))[::-1]
    v[5] = v[6]  # an energy that two segments share
    current = np.stack([np.full(SHAPE, 2.0 + 3 * e - 4 * e**2) for e in v])
    scan = load_map(written.npz(bias_mv=1e3 * v, Current=current + 1e-9 * currents()), "sweep.npz")
    slopes = prepared(scan, "Current", DeriveConductance(5, 2))
    np.testing.assert_allclose(slopes, np.broadcast_to((3 - 8 * v)[:, None, None], slopes.shape), atol=1e-4)
    k, window = 10, slice(8, 13)
    by_hand = [np.polyfit(v[window] - v[k], pixel, 2)[1] for pixel in scan.stack("Current")[window].reshape(5, -1).T]
    np.testing.assert_allclose(slopes[k].ravel(), by_hand, rtol=1e-4)


def test_units_notes_and_what_was_removed_are_recorded():
    spectra = np.moveaxis(currents(), 0, -1)[:, :, None]
    scan = load_map(written.grid_3ds(spectra, sweep_v=(-0.2, 0.2), channels=("Current (A)",)), "grid.3ds")
    step = DeriveConductance(window=5)
    layer = Preparation((step, Level("plane"))).apply_to_scan(scan, "Current (A)", index=10)
    assert layer.unit == "A/V" and "-40 to 40 mV" in layer.results[0].note
    np.testing.assert_allclose(layer.results[0].removed, scan.layer("Current (A)", index=10), rtol=1e-6)
    described = Preparation((AverageSweeps(), step)).to_json()
    assert described == [{"step": "average_sweeps"}, {"step": "derive_conductance", "window": 5, "order": 2}]
    assert Preparation.from_json(described).steps == (AverageSweeps(), step)


@pytest.mark.parametrize("names", [("Current (A)", "Current [bwd] (A)"), ("FW_I", "BW_I")])
def test_the_mean_of_both_sweeps_also_before_the_derivative(names):
    there, back = currents(1), currents(2)
    scan = scan_of(**{names[0]: there, names[1]: back, "other": currents(3)})
    for channel in names:
        np.testing.assert_allclose(prepared(scan, channel, AverageSweeps()), (there + back) / 2, rtol=1e-5, atol=1e-8)
    layer = Preparation((AverageSweeps(),)).apply_to_scan(scan, names[0], index=3)
    np.testing.assert_allclose(layer.results[0].removed, (there - back)[3] / 2, atol=1e-7)
    slopes = prepared(scan, names[0], AverageSweeps(), DeriveConductance(5, 1))
    alone = [prepared(scan, name, DeriveConductance(5, 1)) for name in names]
    np.testing.assert_allclose(slopes, (alone[0] + alone[1]) / 2, atol=1e-5)


def test_pixels_without_a_neighbouring_energy_are_not_measured():
    current = currents()
    current[12, 2, 3] = np.nan
    slopes = prepared(scan_of(Current=current), "Current", DeriveConductance(5, 2))
    missing = np.isnan(slopes)
    assert missing[:, 2, 3].nonzero()[0].tolist() == [10, 11, 12, 13, 14] and missing.sum() == 5


def test_normalised_conductance_at_every_energy():
    power = np.random.default_rng(6).uniform(1.0, 1.0, SHAPE)
    v = ENERGIES[:, None, None]
    current = (0.5 + power) * np.sinh(v / 0.3)  # (dI/dV)/(I/V) = (V / 0.3) / tanh(V / 0.3), 1 at V = 0, whatever the height of the tip
    current *= np.random.default_rng(7).uniform(0.5, 2, SHAPE)
    quotient = prepared(scan_of(Current=current), "Current", DeriveConductance(5, 3), NormaliseSetPoint(smallest=0.0))
    ratio = np.where(v == 0, 1.0, (v / 0.3) / np.where(v == 0, 1.0, np.tanh(v / 0.3)))
    np.testing.assert_allclose(quotient, np.broadcast_to(ratio, quotient.shape), rtol=3e-3)  # the slope at V = 0 is that of a parabola


def test_steps_that_do_not_fit_say_why():
    current = currents()
    scan = scan_of(Current=current, dIdV=current)
    cases = {
        "before all other steps": ("Current", (Crop(0, 0, 5, 5), DeriveConductance())),
        "is already": ("dIdV", (DeriveConductance(),)),
        "both directions": ("Current", (AverageSweeps(),)),
        "has 21 layers": ("Current", (DeriveConductance(23),)),
    }
    for sentence, (channel, steps) in cases.items():
        with pytest.raises(InputError, match=sentence):
            prepared(scan, channel, *steps)
    with pytest.raises(InputError, match="energy of every layer"):
        prepared(load_map(written.npy(current), "sweep.npy"), None, DeriveConductance())
    with pytest.raises(InputError, match="before all other steps"):
        Preparation((DeriveConductance(),)).apply(current[0])
    for wrong in ({"window": 4}, {"window": 1}, {"window": 5, "order": 5}, {"order": 0}):
        with pytest.raises(InputError, match="derive_conductance"):
            DeriveConductance(**wrong)
    with pytest.raises(InputError, match="different energies"):
        flat = load_map(written.npz(bias_mv=np.full(POINTS, 5.0), Current=current), "sweep.npz")
        prepared(flat, "Current", DeriveConductance())
