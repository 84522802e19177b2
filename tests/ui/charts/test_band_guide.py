"""A band beside the pattern: the line lies at the band's wave vector, both pictures share their axes."""

from __future__ import annotations

import numpy as np

from qpi_core.qspace.band_spectra import band_structure, joint_density_of_states
from qpi_core.qspace.dispersion.energy_map import energy_map
from ui.charts.band_guide import band_over_energy_chart, joint_density_chart


def test_the_band_is_drawn_where_it_has_a_contour():
    kernels = np.random.default_rng(1).standard_normal((3, 16, 16))
    spectra = energy_map(kernels, [0.0, 10.0, 20.0], 0.3)
    figure = band_over_energy_chart(spectra, 1, np.array([0.0, 10.0, 20.0]), np.array([np.nan, 1.5, 2.0]), 300)
    line = figure["data"][-1]
    assert line["x"] == [1.5, 2.0] and line["y"] == [10.0, 20.0]


def test_pattern_and_joint_density_share_their_axes():
    band = band_structure("free-electron", {"band_edge_mev": -65.0, "effective_mass": 0.4})
    joint = joint_density_of_states(band, 20.0, 5.0, 24, (0.4, 0.3))
    measured = np.ones((24, 24))
    first, second = joint_density_chart(measured, joint, (0.4, 0.3), 20.0, 300)["data"]
    for name in ("x0", "dx", "y0", "dy"):
        assert first[name] == second[name]
    # Columns are finer in nm, so coarser in q.
    assert first["dx"] > first["dy"] and abs(first["x0"] + 12 * first["dx"]) < 1e-9
