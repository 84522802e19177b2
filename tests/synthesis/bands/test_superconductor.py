"""The simulated superconductor against explicit integrals, the normal state, and what is known of bound states."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import hankel1, j0

from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2
from qpi_core.base.errors import InputError
from qpi_core.synthesis.bands.superconductor import Pocket, Superconductor, two_pockets

ZERO = np.zeros(1)


@pytest.mark.parametrize(("mass", "gap"), [(4.0, 3.0), (-4.0, -5.0)])
def test_the_even_part_is_the_integral_over_wave_vectors(mass, gap):
    pocket = Pocket(1.5, mass, gap)
    crystal = Superconductor((pocket,), broadening_mev=2.0, mean_free_path_nm=np.inf, tip_nm=0.01)
    z, r = 1.0 + 2.0j, 1.3

    def part(k, of):
        xi = HBAR2_OVER_2M_MEV_NM2 / mass * (k**2 - 1.5**2)
        return of(k * j0(k * r) / (2 * np.pi) / (z**2 - xi**2 - gap**2))

    even = sum(unit * quad(part, 0, 60, args=(of,), limit=2000)[0] for unit, of in ((1, np.real), (1j, np.imag)))
    green = crystal.green(1.0, np.array([r]), ZERO)
    np.testing.assert_allclose(green[0, 1, 0], gap * even, rtol=2e-3)
    np.testing.assert_allclose((green[0, 0, 0] + green[1, 1, 0]) / 2, z * even, rtol=2e-3)


def test_the_normal_part_solves_the_wave_equation():
    pocket, energy, step = Pocket(1.5, -4.0, 1.0), 2.0 + 0.7j, 1e-3
    r = 2.0 + step * np.arange(-1, 2)
    g = pocket.normal_green(energy, r)
    laplacian = (g[2] - 2 * g[1] + g[0]) / step**2 + (g[2] - g[0]) / (2 * step) / r[1]
    # (w - xi) g = 0 away from the origin, xi = -hbar^2 (k^2 - k_F^2) / 2|m| for a hole band.
    assert abs(energy * g[1] + pocket.inverse_mass * (-laplacian - 1.5**2 * g[1])) < 1e-4 * abs(energy * g[1])


def test_without_gaps_it_is_the_normal_metal():
    pocket = Pocket(1.5, 4.0, 1e-6)
    crystal = Superconductor((pocket,), potential_mev_nm2=20.0, broadening_mev=0.5, mean_free_path_nm=np.inf)
    x = np.array([0.5, 1.0, 3.0])
    r = np.hypot(x, crystal.tip_nm)
    k = np.sqrt(1.5**2 + (2.0 + 0.5j) / pocket.inverse_mass)
    green = -0.25j / pocket.inverse_mass * hankel1(0, k * r)
    strength = 20.0 / (1 + 20.0 * 1j * np.pi * pocket.density_of_states)
    np.testing.assert_allclose(crystal.kernel(2.0, x, np.zeros(3)), -np.imag(strength * green**2) / np.pi, rtol=1e-4)


def test_bound_states_exist_only_where_the_sign_changes():
    pockets = [(Pocket(1.5, 4.0, 4.0), Pocket(3.0, 4.0, sign * 4.0)) for sign in (1.0, -1.0)]
    energies = np.linspace(0.05, 3.7, 74)
    same, changing = (
        [abs(np.linalg.det(Superconductor(pair, 30.0, broadening_mev=0.02).t_matrix(energy))) for energy in energies] for pair in pockets
    )
    assert np.ptp(same) < 0.05 * np.mean(same), "Anderson's theorem"
    assert max(changing) > 10 * np.median(changing)


def test_pockets_away_from_the_centre_keep_the_fourfold_symmetry():
    crystal = two_pockets(sign_changing=True)
    x, y = np.array([1.0, 2.5]), np.array([0.3, -1.1])
    np.testing.assert_allclose(crystal.kernel(3.5, x, y), crystal.kernel(3.5, -y, x), rtol=1e-9)
    assert crystal.pattern(3.5)(x, y) == pytest.approx(crystal.kernel(3.5, x, y))


def test_values_out_of_range_are_told():
    with pytest.raises(InputError, match="fermi_wavenumber"):
        Pocket(0.0, 1.0, 1.0)
    with pytest.raises(InputError, match="at least one Pocket"):
        Superconductor(())
    with pytest.raises(InputError, match="broadening_mev"):
        Superconductor((Pocket(1.0, 1.0, 1.0),), broadening_mev=0.0)
