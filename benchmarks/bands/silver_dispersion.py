"""The surface state of Ag(111) from simulated maps: band edge and effective mass against the truth, seed after seed.

Maps: 80 x 80 pixels of 0.3 nm, 25 defects at random places, seven energies from -25 to 85 meV, each defect with the pattern
-Im[exp(i delta) H0(k r)^2] and a mean free path of 8 nm, noise of a fifth of each map's own standard deviation.

    python benchmarks/bands/silver_dispersion.py [--seeds 1 2 3] [--method harmonic]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.special import hankel1

import qpi_core
from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2
from qpi_core.base.errors import InputError
from qpi_core.extraction.extractor import Extractor
from qpi_core.qspace.dispersion.fit import fit_parabola
from qpi_core.qspace.dispersion.rings import track_rings
from qpi_core.synthesis.simulated_maps.scenes import superpose

EDGE_MEV, MASS = -65.0, 0.40
PITCH_NM, SHAPE, DEFECTS, KERNEL_SIZE = 0.3, (80, 80), 25, 56
ENERGIES_MEV = np.linspace(-25.0, 85.0, 7)
PHASE, MEAN_FREE_PATH_NM, NOISE = -1.2, 8.0, 0.2


def surface_state(energy_mev: float):
    """Return the pattern of one defect, a function of (dx, dy) in nm."""
    k = np.sqrt((energy_mev - EDGE_MEV) * MASS / HBAR2_OVER_2M_MEV_NM2)

    def pattern(dx, dy):
        r = np.hypot(np.hypot(dx, dy), PITCH_NM / 2)
        return -np.imag(np.exp(1j * PHASE) * hankel1(0, k * r) ** 2) * np.exp(-r / MEAN_FREE_PATH_NM) * k

    return pattern


def measure(seed: int, method: str) -> str:
    """Simulate, extract, fit; return one line with the values, their standard deviations and how far off they are."""
    rng = np.random.default_rng(seed)
    positions = rng.uniform(0, SHAPE[0] - 1, (DEFECTS, 2))
    clean = np.stack([superpose(surface_state(energy), positions, SHAPE, PITCH_NM) for energy in ENERGIES_MEV])
    maps = clean + NOISE * clean.std(axis=(1, 2), keepdims=True) * rng.standard_normal(clean.shape)
    started = time.perf_counter()
    found = qpi_core.extract_stack(
        Extractor(device="cpu"),
        maps,
        positions,
        bias_mv=ENERGIES_MEV,
        pixel_size_nm=PITCH_NM,
        kernel_size=KERNEL_SIZE,
        method=method,
    )
    seconds = time.perf_counter() - started
    fit = fit_parabola(track_rings(found.kernels, ENERGIES_MEV, PITCH_NM, uncertainties=found.uncertainties))
    (edge, edge_sigma), (mass, mass_sigma) = fit.band_edge_mev, fit.effective_mass
    return (
        f"{seed:4d} {edge:8.2f} ± {edge_sigma:5.2f} ({(edge - EDGE_MEV) / edge_sigma:+5.2f} σ) "
        f"{mass:8.4f} ± {mass_sigma:6.4f} ({(mass - MASS) / mass_sigma:+5.2f} σ) {fit.layers:3d} layers {seconds:7.1f} s"
    )


def main() -> None:
    """Print a line a seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--method", default="harmonic")
    args = parser.parse_args()
    print(f"truth: E0 = {EDGE_MEV} meV, m* = {MASS} electron masses; method {args.method}")
    print("seed   E0 (meV)                   m* (electron masses)")
    for seed in args.seeds:
        try:
            print(measure(seed, args.method), flush=True)
        except InputError as error:
            print(f"{seed:4d} {error}", flush=True)


if __name__ == "__main__":
    main()
