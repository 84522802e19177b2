"""Numbers and units as people write them."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core.base.units import counted, duration, in_handy_unit, movements, plain_number, unit_scale


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [
        (7.08e-11, "m", ("70.8", "pm")),
        (1e-11, "m", ("10", "pm")),
        (-42.59e-9, "m", ("-42.6", "nm")),
        (0.9999e-9, "m", ("1", "nm")),
        (4e-4, "nm", ("400", "fm")),
        (1500.0, "pS", ("1.5", "nS")),
        (3.2e-12, "S", ("3.2", "pS")),
        (0.25, "uV", ("250", "nV")),
        (12.0, "mV", ("12", "mV")),
        (0.0, "m", ("0", "m")),
        (1e-30, "A", ("1e-15", "fA")),
        (7.08e-11, "", ("7.08e-11", "")),
        (0.02, "arb", ("0.02", "arb")),
    ],
)
def test_prefix_suits_the_size(value, unit, written):
    assert in_handy_unit(value, unit) == written


def test_scale_changes_the_number_and_not_the_quantity():
    factor, unit = unit_scale(3.2e-12, "S")
    assert unit == "pS" and 3.2e-12 * factor == pytest.approx(3.2)
    assert unit_scale(float("nan"), "m") == (1.0, "m")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0004, "below 1 ms"),
        (0.353, "0.35 s"),
        (4.21, "4.2 s"),
        (9.96, "10 s"),
        (42.4, "42 s"),
        (362, "6 min 2 s"),
        (360, "6 min"),
        (7203, "120 min"),
    ],
)
def test_times_are_in_plain_form(seconds, words):
    assert duration(seconds) == words


def test_zero_has_no_sign_and_one_is_not_many():
    assert plain_number(-0.004, 2) == "0.00" and plain_number(-0.006, 2) == "-0.01"
    assert (counted(1, "defect"), counted(0, "defect"), counted(2, "defect")) == ("1 defect", "0 defects", "2 defects")


def test_one_distance_has_no_median():
    assert movements(np.array([2.0])) == "2.00 px"
    assert movements(np.array([1.0, 4.0, 1.5])) == "1.50 px in the median and at most 4.00 px"
