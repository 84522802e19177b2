"""What turns wave vectors of electrons into energies and velocities, in meV, nm and km/s (CODATA 2018)."""

HBAR2_OVER_2M_MEV_NM2 = 38.0998212
"""hbar^2 / (2 m_e) in meV nm^2."""
MEV_NM_IN_KM_PER_S = 1.519267447
"""1 meV nm / hbar in km/s."""
