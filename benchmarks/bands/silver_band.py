"""A band fitted to the maps themselves: the surface state of Ag(111) from simulated stacks, seed after seed.

Stacks: 256 x 256 pixels over 50 nm, 60 defects at random known places, 25 energies from -40 to 120 meV, each defect with the pattern
-Im[exp(i delta) H0(k r)^2] k of a band with E0 = -65 meV and m* = 0.40 and a mean free path of 8 nm, noise of 0.5 and a smooth background
(random field of 3 nm, another one at every energy) of 0.3 of each map's own standard deviation.

    python benchmarks/bands/silver_band.py [--seeds 20] [--nothing]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import hankel1

from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2
from qpi_core.extraction.bands.band_model import fit_band_model
from qpi_core.synthesis.simulated_maps.scenes import superpose

EDGE_MEV, MASS = -65.0, 0.40
SHAPE, PITCH_NM, DEFECTS = (256, 256), 50 / 256, 60
ENERGIES_MEV = np.linspace(-40.0, 120.0, 25)
PHASE, MEAN_FREE_PATH_NM, NOISE, BACKGROUND, BACKGROUND_NM = -1.2, 8.0, 0.5, 0.3, 3.0


def layer(energy_mev: float, positions: np.ndarray, rng: np.random.Generator, nothing: bool) -> np.ndarray:
    """Return one map; without any pattern where nothing is wanted."""
    radii = np.linspace(0.0, 80.0, 20001)
    soft = np.hypot(radii, PITCH_NM / 2)
    k = np.sqrt((energy_mev - EDGE_MEV) * MASS / HBAR2_OVER_2M_MEV_NM2)
    profile = -np.imag(np.exp(1j * PHASE) * hankel1(0, k * soft) ** 2) * np.exp(-soft / MEAN_FREE_PATH_NM) * k
    clean = superpose(lambda dx, dy: np.interp(np.hypot(dx, dy), radii, profile), positions, SHAPE, PITCH_NM)
    smooth = gaussian_filter(rng.standard_normal(SHAPE), BACKGROUND_NM / PITCH_NM, mode="reflect")
    disturbed = clean.std() * (NOISE * rng.standard_normal(SHAPE) + BACKGROUND * smooth / smooth.std())
    return disturbed if nothing else clean + disturbed


def measure(seed: int, nothing: bool) -> tuple[str, bool]:
    """Simulate and fit; return a line, and whether the answer is right (the truth within two deviations, or nothing claimed)."""
    rng = np.random.default_rng(seed)
    positions = rng.uniform(0, SHAPE[0] - 1, (DEFECTS, 2))
    stack = np.stack([layer(energy, positions, rng, nothing) for energy in ENERGIES_MEV]).astype(np.float32)
    started = time.perf_counter()
    found = fit_band_model(stack, positions, ENERGIES_MEV, PITCH_NM)
    seconds = time.perf_counter() - started
    evidence = ", ".join(f"{name} {value:.0f}" for name, value in found.log_evidence.items())
    if not found.claimed:
        return f"{seed:4d} nothing claimed: {evidence}; {seconds:.0f} s", nothing
    (edge, edge_sigma), (mass, mass_sigma) = found.parameters["band_edge_mev"], found.parameters["effective_mass"]
    off = (edge - EDGE_MEV) / edge_sigma, (mass - MASS) / mass_sigma
    line = (
        f"{seed:4d} E0 {edge:8.3f} ± {edge_sigma:.3f} ({off[0]:+.2f} σ)  m* {mass:.5f} ± {mass_sigma:.5f} ({off[1]:+.2f} σ)  "
        f"explains {found.explains}: {evidence}; {seconds:.0f} s"
    )
    return line, not nothing and max(abs(off[0]), abs(off[1])) < 2


def main() -> None:
    """Print a line a seed and the number of right answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--nothing", action="store_true", help="background and noise only: nothing may be claimed")
    args = parser.parse_args()
    right = 0
    for seed in range(args.first, args.first + args.seeds):
        line, good = measure(seed, args.nothing)
        right += good
        print(line, flush=True)
    print(f"{right} of {args.seeds} right")


if __name__ == "__main__":
    main()
