"""Energies of Nanonis grids whose header says more than one thing."""

import numpy as np
import pytest

from qpi_core.maps import load_map
from tests.maps.written import written_files as written

SEGMENTS = "Bias Spectroscopy>MultiLine Settings: Segment Start (V), Segment End (V), Settling (s), Integration (s), Steps (xn)"
BIAS = 'Sweep Signal="Bias (V)"'


def grid(*extra, points=7, sweep_v=(0.2, -0.1), bias_v=None, channel="Bias (V)"):
    """A grid of 5 x 4 points with what stands in the header beside its sweep; bias_v is recorded in a channel of its own."""
    spectra = np.random.default_rng(1).normal(size=(5, 4, 2 + (bias_v is not None), points)).astype(np.float32)
    channels = ["Current (A)", "LI Demod 1 X (A)"]
    if bias_v is not None:
        channels.insert(1, channel)
        spectra[:, :, 1] = bias_v
    return written.grid_3ds(spectra, sweep_v=sweep_v, channels=channels, extra=(BIAS, *extra))


def warned(scan, *words):
    return any(all(word in warning for word in words) for warning in scan.warnings)


@pytest.mark.parametrize("steps", ["7", "256", "2,0,0;0.1,1E+0,0,0,6"])
@pytest.mark.parametrize(
    "said", [("Filetype=Linear",), ("Bias Spectroscopy>Sweep mode=Linear",), ("Filetype=LINEAR", "Bias>Sweep Mode=MLS")]
)
def test_segments_left_over_in_a_linear_file_do_not_count(steps, said):
    leftover = f"{SEGMENTS}=-1E+0,1E+0,100E-6,100E-6,{steps}"
    for lines in ((*said, leftover), (leftover, *said)):
        scan = load_map(grid(*lines), "grid.3ds")
        np.testing.assert_allclose(scan.bias_mv, np.linspace(200, -100, 7), atol=1e-4)
        assert warned(scan, "segments", "-1000", "200 to -100 mV", said[0][-6:]) and set(scan.warnings) <= set(scan.notes)


def test_segments_that_agree_are_not_worth_a_word():
    scan = load_map(grid("Filetype=Linear", f"{SEGMENTS}=0.2,-0.1,0,0,7"), "grid.3ds")
    np.testing.assert_allclose(scan.bias_mv, np.linspace(200, -100, 7), atol=1e-4)
    assert not scan.warnings


def test_segments_count_in_a_multi_line_file_whatever_the_limits_say():
    table = "Steps (xn), Segment End (V), Segment Start (V)=3,0.1,0.2;5,-0.3,0.1"  # another order of the columns
    scan = load_map(grid("Filetype=MLS", table, sweep_v=(1, -1)), "grid.3ds")
    np.testing.assert_allclose(scan.bias_mv, [200, 150, 100, 0, -100, -200, -300], atol=1e-9)
    assert warned(scan, "1000 to -1000 mV", "200 to -300 mV", "Filetype=MLS")


@pytest.mark.parametrize("steps", [6, 7, 256, 10**12])
def test_segments_that_do_not_add_up(steps):
    lines = ("Filetype=MLS", f"{SEGMENTS}=0.2,0.1,0,0,4;0.1,-0.1,0,0,{steps}")
    scan = load_map(grid(*lines), "grid.3ds")
    assert np.isnan(scan.bias_mv).all() and warned(scan, "do not add up", "no energy")
    recorded = load_map(grid(*lines, bias_v=np.linspace(0.19, -0.11, 7)), "grid.3ds")
    np.testing.assert_allclose(recorded.bias_mv, np.linspace(190, -110, 7), atol=1e-4)
    assert warned(recorded, "do not add up", "'Bias (V)'", "190 to -110 mV")


def test_a_file_that_does_not_say_which_sweep_it_made():
    fitting, foreign = f"{SEGMENTS}=0.2,0.15,0,0,4;0.15,-0.1,0,0,4", f"{SEGMENTS}=-1,1,0,0,7"
    uneven = np.concatenate([np.linspace(200, 150, 4), np.linspace(150, -100, 4)[1:]])
    np.testing.assert_allclose(load_map(grid(fitting), "grid.3ds").bias_mv, uneven, atol=1e-4)  # their ends are the recorded limits
    scan = load_map(grid(foreign), "grid.3ds")
    np.testing.assert_allclose(scan.bias_mv, np.linspace(200, -100, 7), atol=1e-4)
    assert warned(scan, "-1000 to 1000 mV", "does not say which")
    scan = load_map(grid(foreign, bias_v=np.linspace(-1, 1, 7)), "grid.3ds")
    np.testing.assert_allclose(scan.bias_mv, np.linspace(-1000, 1000, 7), atol=1e-9)
    assert warned(scan, "200 to -100 mV", "bears it out")


@pytest.mark.parametrize(("channel", "factor"), [("Bias (V)", 1), ("Bias_m (V)", 1), ("Bias calc (mV)", 1000)])
def test_a_recorded_bias_is_compared(channel, factor):
    sweep = np.linspace(0.2, -0.1, 7)
    same = load_map(grid("Filetype=Linear", bias_v=factor * (sweep + 0.002), channel=channel), "grid.3ds")
    np.testing.assert_allclose(same.bias_mv, 1e3 * sweep, atol=1e-4)
    assert not same.warnings
    other = load_map(grid("Filetype=Linear", bias_v=factor * (0.2 - sweep), channel=channel), "grid.3ds")
    np.testing.assert_allclose(other.bias_mv, 1e3 * sweep, atol=1e-4)
    assert warned(other, channel, "0 to 300 mV", "200 to -100 mV")
    still = load_map(grid("Filetype=Linear", bias_v=-0.0065 * factor, channel=channel), "grid.3ds")
    assert warned(still, channel, "constant at -6.5 mV")


def test_limits_are_found_by_their_names_and_in_the_settings():
    turned = grid("Filetype=Linear", sweep_v=(-0.1, 0.2)).replace(b"Sweep Start;Sweep End", b"Sweep End;Sweep Start")
    np.testing.assert_allclose(load_map(turned, "grid.3ds").bias_mv, np.linspace(200, -100, 7), atol=1e-4)
    settings = ("Bias Spectroscopy>Sweep Start (V)=0.05", "Bias Spectroscopy>Sweep End (V)=-0.25", "Filetype=Linear")
    empty = load_map(grid(*settings, sweep_v=(0, 0)), "grid.3ds")
    np.testing.assert_allclose(empty.bias_mv, np.linspace(50, -250, 7), atol=1e-9)
    both = load_map(grid(*settings), "grid.3ds")
    np.testing.assert_allclose(both.bias_mv, np.linspace(200, -100, 7), atol=1e-4)
    assert warned(both, "50 to -250 mV", "200 to -100 mV")
    nothing = load_map(grid("Filetype=Linear", f"{SEGMENTS}=-1,1,0,0,7", sweep_v=(0, 0)), "grid.3ds")
    assert np.isnan(nothing.bias_mv).all() and warned(nothing, "start and end are missing")
