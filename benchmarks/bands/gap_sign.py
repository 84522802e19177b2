"""Does the order parameter change sign? The verdict of phase-resolved interference on simulated superconductors, seed after seed.

Stacks: 96 x 96 pixels of 0.25 nm, 30 defects at known random places, energies from -8 to 8 meV in steps of 0.5 meV without 0, two bands
(k_F = 1.5 and 3.5 rad/nm) with gaps of 3 and 5 meV of equal (even seeds) or opposite signs (odd seeds), defects of every strength from
weak to strong, noise of half of each map's own standard deviation. Without gaps (--normal) nothing may be told.

    python benchmarks/bands/gap_sign.py [--seeds 40] [--noise 0.5] [--method harmonic] [--normal]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import qpi_core
from qpi_core.extraction.extractor import Extractor
from qpi_core.qspace.phase.gap_sign import SAME_SIGN, SIGN_CHANGING, UNDECIDED, judge_gap_sign
from qpi_core.qspace.phase.phase_resolved import signal_of_stack
from qpi_core.qspace.regions import Ring
from qpi_core.synthesis.bands.superconductor import Pocket, Superconductor
from qpi_core.synthesis.simulated_maps.scenes import superpose

PITCH_NM, SHAPE, DEFECTS, KERNEL_SIZE = 0.25, (96, 96), 30, 80
ENERGIES_MEV = np.concatenate([np.arange(-8.0, 0.0, 0.5), np.arange(0.5, 8.01, 0.5)])
GAPS_MEV = (3.0, 5.0)
BETWEEN_THE_BANDS = Ring(4.2, 5.8)


def superconductor(seed: int, normal: bool) -> tuple[Superconductor, str]:
    """Return what a seed stands for, and the right verdict."""
    strength = 5.0 * 2.0 ** np.random.default_rng([seed, 1]).uniform(0, 3) * (-1) ** (seed // 2)
    sign = -1.0 if seed % 2 else 1.0
    gaps = (1e-3, 1e-3) if normal else (GAPS_MEV[0], sign * GAPS_MEV[1])
    made = Superconductor((Pocket(1.5, -4.0, gaps[0]), Pocket(3.5, 4.0, gaps[1])), strength)
    return made, UNDECIDED if normal else SIGN_CHANGING if seed % 2 else SAME_SIGN


def measure(seed: int, noise: float, method: str, normal: bool) -> tuple[str, bool]:
    """Simulate, extract, judge; return a line and whether the verdict is right."""
    rng = np.random.default_rng([seed, 0])
    made, right = superconductor(seed, normal)
    positions = rng.uniform(0, SHAPE[0] - 1, (DEFECTS, 2))
    clean = np.stack([superpose(made.pattern(energy), positions, SHAPE, PITCH_NM) for energy in ENERGIES_MEV])
    maps = clean + noise * clean.std(axis=(1, 2), keepdims=True) * rng.standard_normal(clean.shape)
    started = time.perf_counter()
    found = qpi_core.extract_stack(
        Extractor(device="cpu"), maps, positions, bias_mv=ENERGIES_MEV, pixel_size_nm=PITCH_NM, kernel_size=KERNEL_SIZE, method=method
    )
    signal = signal_of_stack(found, BETWEEN_THE_BANDS)
    verdict = judge_gap_sign(signal)
    seconds = time.perf_counter() - started
    strongest = float(np.max(np.abs(signal.signal) / signal.deviation))
    return (
        f"{seed:4d} V = {made.potential_mev_nm2:6.1f}  {right:18s} -> {verdict.verdict:18s} P(change) {verdict.probability:.4f} "
        f"gain {verdict.gain:6.1f} gaps {verdict.gaps_mev[0]:.1f}, {verdict.gaps_mev[1]:.1f} meV, "
        f"signal/error {strongest:5.1f} {seconds:6.1f} s"
    ), verdict.verdict == right


def main() -> None:
    """Print a line a seed and the share of right verdicts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--noise", type=float, default=0.5)
    parser.add_argument("--method", default="harmonic")
    parser.add_argument("--normal", action="store_true", help="no gaps: nothing may be told")
    args = parser.parse_args()
    right = 0
    for seed in range(args.first, args.first + args.seeds):
        line, good = measure(seed, args.noise, args.method, args.normal)
        right += good
        print(line, flush=True)
    print(f"{right} of {args.seeds} right")


if __name__ == "__main__":
    main()
