"""The channel that is shown without being asked for: never constant, never one layer beside a stack, forward, dI/dV by its many names."""

import io

import numpy as np
import pytest

from qpi_core.maps import load_map
from qpi_core.maps.channel_choice import Signal, choose_channel, doubt_about, is_backward, signal_of
from tests.maps.written import written_files as written


def chosen(*names, constant=(), layers=None):
    """Return the choice among channels of these names."""
    rng = np.random.default_rng(0)
    sizes = layers or {}
    values = {name: rng.normal(size=(sizes.get(name, 1), 4, 5)) for name in names}
    for name in constant:
        values[name][:] = 3.2e-7
    return choose_channel(values)


FIRST = """dI/dV (A)|dIdV|dI_dV|dI/dU (S)|FW_dIdV|LDOS|differential conductance|LI X (V)|LI_X|LIX (V)|
LIX 1 omega (A)|LIX1omega|Lock-in X (V)|
LockinX (V)|Lock In X|lock-in 1 X|Lockin1X|LI Demod 1 X (A)|LI_Demod_1_X|
[P2] LI Demod 1 X (A)|SR830 X|Trace LIX|Lock-in (V)|LIA Current (A)|
LI R (V)|Lock-in Amplitude|HF2 Demod 1 X|MFLI X|X_Lockin|Cond (nS)|LI Demod 2 X (A)|LI Demod 1 X [AVG] (A)""".replace("\n", "").split("|")
NOT_FIRST = """Z (m)|Current (A)|LI Y (V)|LockinY (V)|LI Demod 1 Y (A)|LI Demod 1 phase (deg)|Bias (V)|Bias_m (V)|d2I/dV2|LIX 2 omega (A)|
Lock-in 2nd harmonic X|Input 7 (V)|Aux 1 (V)|Liquid helium|PLL Demod X|Audio|X (m)""".replace("\n", "").split("|")


@pytest.mark.parametrize("name", FIRST)
def test_names_of_conductance(name):
    for other in NOT_FIRST:
        for names in ((other, name), (name, other)):
            choice = chosen(*names)
            assert choice.name == name and choice.sure and not doubt_about(choice, names)
    choice = chosen("Z (m)", f"{name} [bwd]", "Z [bwd] (m)", name)
    assert choice.name == name and choice.sure


def test_the_better_name_wins():
    ordered = [
        "dI/dV (A)",
        "LI Demod 1 X (A)",
        "LI Demod 2 X (A)",
        "LI R (A)",
        "Lock-in (V)",
        "Input 7 (V)",
        "LI Y (A)",
        "LIX 2 omega (A)",
        "Z (m)",
    ]
    for better, worse in zip(ordered, ordered[1:], strict=False):
        assert signal_of(better) < signal_of(worse)
        assert chosen(worse, better, "Bias (V)").name == better
    assert signal_of("Bias_m (V)") == Signal.BIAS


@pytest.mark.parametrize("way", ["BW_{}", "{} [bwd] (A)", "Retrace {}", "{} backward", "bwd {}", "{}_BWD", "{} reverse"])
def test_backward_names(way):
    backward = way.format("LIX")
    assert is_backward(backward) and not is_backward("Background LIX") and not is_backward("Trace LIX") and not is_backward("FW_LIX")
    assert chosen(backward, "Current (A)", "LIX").name == "LIX"
    assert chosen(backward, "Z (m)").name == "Z (m)" and not chosen(backward, "Z (m)").sure  # forward comes first


def test_units_and_passes_are_no_part_of_a_signal():
    assert chosen("Z (m)", "Z (m) [bwd]").sure and signal_of("LIX (A)[P2]") == signal_of("HF2 Demod 1 X") == Signal.LOCK_IN_X
    assert not chosen("dI/dV", "(dI/dV)/(I/V)").sure and chosen("I(V) (A)", "I(V) [bwd] (A)").sure


def test_components_harmonics_and_letters_for_directions():
    for worse in ("dIdV phase (deg)", "dI/dV Y (S)", "LI X (2f) (V)", "dIdV (2nd harm)"):
        assert signal_of(worse) > Signal.LOCK_IN_AMPLITUDE and chosen(worse, "LI R (V)").name == "LI R (V)"
    for first, second in (("dIdV_B", "dIdV_F"), ("LIX b (V)", "LIX f (V)"), ("dIdV-B", "dIdV-F")):
        assert chosen(first, "Z (m)", second).name == second and chosen(first, "Z (m)").name == first


def test_constant_channels_and_parameters_are_never_shown_first():
    assert chosen("Z (m)", "LI X (V)", constant=["Z (m)"]).name == "LI X (V)"
    assert chosen("dI/dV", "Z (m)", constant=["dI/dV"]).name == "Z (m)"
    stack = {"Current (A)": 6}
    for parameter in ("Scan:LI Demod 1 X (A) [point]", "dI/dV", "LI X"):
        choice = chosen(parameter, "Current (A)", layers=stack)
        assert choice.name == "Current (A)" and not choice.sure and parameter in doubt_about(choice, (parameter, "Current (A)"))
    assert chosen("dI/dV", "Z (m)", constant=["dI/dV", "Z (m)"]).name == "dI/dV"  # nothing else is there
    sweep = {name: np.random.default_rng(1).normal(size=(6, 4, 5)) for name in ("Bias (V)", "Current (A)")}
    sweep["Bias (V)"][:] = np.linspace(-1, 1, 6)[:, None, None]
    assert choose_channel(sweep).name == "Current (A)"  # the bias changes over the layers only


def test_doubt_is_said_and_a_single_signal_leaves_none():
    assert chosen("data").sure and chosen("Z (m)", "Z [bwd] (m)").sure
    for names in (("Z (m)", "Current (A)"), ("Input 1 (V)", "Z (m)"), ("LI X", "Lock-in X"), ("[P1] LI X", "[P2] LI X")):
        assert not chosen(*names).sure
    stream = io.BytesIO()
    np.savez(stream, height=written.asymmetric(), current=written.asymmetric(seed=2))
    scan = load_map(stream.getvalue(), "two.npz")
    assert not scan.channel_choice.sure and any("which channel is dI/dV; height was taken" in warning for warning in scan.warnings)
    assert "Its channels: height, current." in scan.warnings[0]
