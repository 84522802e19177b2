"""The controls mean what they say, and the generator is seeded and stays within its promise."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.synthesis.bands.band_families import (
    FAMILIES,
    WAVE_VECTOR_RANGE,
    BandControls,
    contour,
    defect_scattering,
    draw_band_controls,
    draw_band_pattern,
    lattice_constant_nm,
)
from qpi_core.synthesis.bands.scattering import band_pattern, local_green_function

LENGTHS = np.linspace(-5, 5, 64)


def test_the_seed_decides_the_kernel():
    first, again, other = (draw_band_pattern(np.random.default_rng(seed), extent_nm=10.0) for seed in (5, 5, 6))
    assert np.array_equal(first(LENGTHS, LENGTHS), again(LENGTHS, LENGTHS))
    assert not np.array_equal(first(LENGTHS, LENGTHS), other(LENGTHS, LENGTHS))


def test_the_generator_spans_the_families():
    drawn = {draw_band_controls(np.random.default_rng([1, index])).family for index in range(40)}
    assert drawn == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_drawn_contours_lie_within_the_promised_range(family):
    for index in range(4):
        controls = draw_band_controls(np.random.default_rng([2, index]), family)
        vectors = 2 * np.hypot(*contour(controls, 17).T)
        assert vectors.min() > WAVE_VECTOR_RANGE[0] * 0.97 and vectors.max() < WAVE_VECTOR_RANGE[1] * 1.03
        assert 2 * np.pi / controls.wave_vector <= 2 * controls.mean_free_path_nm


@pytest.mark.parametrize("family", FAMILIES)
def test_contour_reaches_half_of_the_wave_vector_along_the_angle(family):
    details = FAMILIES[family]
    fraction = 0.5 if details.zone_range is None else sum(details.zone_range) / 2
    controls = BandControls(family, 4.0, fraction, sum(details.shape_range) / 2, angle=0.6)
    points = contour(controls, 400)
    along = np.arctan2(points[:, 1], points[:, 0])
    nearest = np.nanargmin(np.abs(along - 0.6))
    # The lower of two bands comes first on the way out.
    expected = 2.0 * controls.shape if family == "several" else 2.0
    assert np.hypot(*points[nearest]) == pytest.approx(expected, rel=1e-2)


def test_strength_and_mean_free_path_become_energies():
    scattering = defect_scattering(BandControls("elliptic", 4.0, shape=1.0, mean_free_path_nm=2.0, strength=-0.7))
    velocity = 2 * scattering.structure.energies_mev(0.0, 0.0)[0] / -2.0  # dE/dk = 2 |E0| / k of a parabola
    assert scattering.broadening_mev == pytest.approx(velocity / 4.0, rel=1e-3)
    assert scattering.potential_mev * abs(local_green_function(scattering, 50.0)) == pytest.approx(-0.7, rel=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_makes_a_kernel_that_decays(family):
    pattern = draw_band_pattern(np.random.default_rng(3), family)
    near = np.abs(pattern(LENGTHS[:, None], LENGTHS)).max()
    assert np.abs(pattern(LENGTHS, np.full(64, 17.0))).max() < 1e-3 * near


def test_lattice_constant_follows_the_zone_fraction():
    assert lattice_constant_nm(BandControls("square", 2 * np.pi, 0.5)) == pytest.approx(0.5)
    assert np.isnan(lattice_constant_nm(BandControls("warped")))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"family": "kagome"}, "family must be one of square"),
        ({"wave_vector": 20.0}, "wave_vector"),
        ({"zone_fraction": 1.2}, "zone_fraction"),
        ({"shape": 2.0}, "shape"),
        ({"mean_free_path_nm": 100.0}, "mean_free_path_nm"),
        ({"strength": 0.0}, "strength"),
    ],
)
def test_bad_controls_are_named(values, message):
    with pytest.raises(InputError, match=message):
        BandControls(**values)
    with pytest.raises(InputError, match="family"):
        draw_band_controls(np.random.default_rng(0), "kagome")


def test_slider_corners_work():
    """Every end of every control gives a finite kernel."""
    for family, details in FAMILIES.items():
        for shape, fraction in zip(details.shape_range, details.zone_range or (0.5, 0.5), strict=True):
            pattern = band_pattern(defect_scattering(BandControls(family, 5.0, fraction, shape, 1.5)), 10.0)
            assert np.isfinite(pattern(LENGTHS[:, None], LENGTHS)).all()
