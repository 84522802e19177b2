"""Bands of every family fitted to simulated stacks: numbers against the truth, and which family the evidence prefers.

Stacks: 96 x 96 pixels, 25 defects at known random places, 10 energies, kernels by the T-matrix (qpi_core.synthesis.bands, summed over a
square grid of wave vectors: nothing of the fit's own mathematics), noise of half of each map's own standard deviation and a smooth
background of 0.3 of it, another one at every energy.

    python benchmarks/bands/band_families.py [--families elliptic ...] [--seeds 5] [--first 1] [--compare free-electron dirac ...]
    python benchmarks/bands/band_families.py --nothing noise lattice measured --seeds 2
    python benchmarks/bands/band_families.py --families elliptic --first 7 --write tutorial
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from qpi_core.base.electron import MEV_NM_IN_KM_PER_S
from qpi_core.extraction.bands.band_model import BAND_MODELS, compare_band_models, fit_band_model
from qpi_core.maps import load_map
from qpi_core.synthesis.bands.band_structures import BandStructure, EllipticBand, SeveralBands, WarpedBand
from qpi_core.synthesis.bands.hexagonal import HexagonalParabola
from qpi_core.synthesis.bands.lattices import HoneycombLattice, SquareLattice, TriangularLattice
from qpi_core.synthesis.bands.scattering import DefectScattering, band_pattern
from qpi_core.synthesis.simulated_maps.scenes import superpose

SHAPE, DEFECTS, NOISE, BACKGROUND, BACKGROUND_PX = (96, 96), 25, 0.5, 0.3, 10.0
MEASURED = Path(__file__).resolve().parents[3] / "shared" / "data" / "nanonis_grid" / "NanonisReader_STS_grid_lockin.3ds"


@dataclass(frozen=True)
class Case:
    """A band with known numbers.

    Attributes:
        structure: drawn from a stream.
        truth: names and values of a structure that the fit is asked for.
        energies_mev, pitch_nm, broadening_mev, potential_mev: of the stack and of its defects.
        lattice: whether the fit is told the lattice.
        tip_nm: width of tip and orbitals; of a lattice so wide that single atoms do not show.
    """

    structure: Callable[[np.random.Generator], BandStructure]
    truth: Callable[[BandStructure], dict[str, float]]
    energies_mev: np.ndarray
    pitch_nm: float
    broadening_mev: float
    potential_mev: float = 300.0
    lattice: bool = False
    tip_nm: float = 0.15


def warped(rng: np.random.Generator) -> WarpedBand:
    return WarpedBand(rng.uniform(-330, -270), rng.uniform(230, 280), rng.uniform(40, 120), rng.uniform(0.05, np.pi / 3 - 0.05))


def cone(rng: np.random.Generator) -> WarpedBand:
    return WarpedBand(rng.uniform(-330, -270), rng.uniform(230, 280), 0.0)


def ellipse(rng: np.random.Generator) -> EllipticBand:
    return EllipticBand(rng.uniform(-80, -50), rng.uniform(0.3, 0.5), rng.uniform(1.3, 2.5), rng.uniform(0.2, np.pi - 0.2))


def hexagon(rng: np.random.Generator) -> HexagonalParabola:
    return HexagonalParabola(rng.uniform(-80, -50), rng.uniform(0.3, 0.5), rng.uniform(0.04, 0.12), rng.uniform(0.05, np.pi / 3 - 0.05))


def two_bands(rng: np.random.Generator) -> SeveralBands:
    outer = EllipticBand(rng.uniform(-140, -110), rng.uniform(0.4, 0.5))
    return SeveralBands((outer, EllipticBand(rng.uniform(-60, -40), rng.uniform(0.2, 0.3))))


def square(rng: np.random.Generator) -> SquareLattice:
    return SquareLattice(rng.uniform(80, 120), rng.uniform(-20, 10), rng.uniform(-230, -170), 0.6, rng.uniform(0, np.pi / 2))


def triangular(rng: np.random.Generator) -> TriangularLattice:
    return TriangularLattice(rng.uniform(50, 80), 0.0, rng.uniform(-230, -190), 0.6, rng.uniform(0, np.pi / 3))


def honeycomb(rng: np.random.Generator) -> HoneycombLattice:
    return HoneycombLattice(rng.uniform(90, 130), 0.0, rng.uniform(-20, 20), 1.2, rng.uniform(0, np.pi / 3))


def truth_of_pair(band: SeveralBands) -> dict[str, float]:
    return {f"{name}_{n}": getattr(one, name) for n, one in enumerate(band.bands, 1) for name in ("band_edge_mev", "effective_mass")}


def truth_of_lattice(band: SquareLattice | TriangularLattice) -> dict[str, float]:
    ratio = band.second_hopping_mev / band.hopping_mev
    return {"hopping_mev": band.hopping_mev, "second_hopping_ratio": ratio, "band_centre_mev": -band.chemical_potential_mev}


def truth_of_cone(band: WarpedBand) -> dict[str, float]:
    return {"dirac_energy_mev": band.dirac_energy_mev, "velocity_km_per_s": band.velocity_mev_nm * MEV_NM_IN_KM_PER_S}


CASES = {
    "topological": Case(warped, lambda b: truth_of_cone(b) | {"warping_mev_nm3": b.warping_mev_nm3}, np.linspace(100, 320, 10), 0.2, 20.0),
    "dirac": Case(cone, truth_of_cone, np.linspace(100, 320, 10), 0.2, 20.0),
    "elliptic": Case(
        ellipse,
        lambda b: {"band_edge_mev": b.band_edge_mev, "effective_mass": b.effective_mass, "mass_ratio": b.mass_ratio, "angle_rad": b.angle},
        np.linspace(200, 500, 10),
        0.2,
        20.0,
    ),
    "hexagonal": Case(
        hexagon,
        lambda b: {"band_edge_mev": b.band_edge_mev, "effective_mass": b.effective_mass, "warping": b.warping, "angle_rad": b.angle},
        np.linspace(200, 500, 10),
        0.2,
        20.0,
    ),
    "two-bands": Case(two_bands, truth_of_pair, np.linspace(200, 500, 10), 0.2, 20.0),
    "square": Case(square, truth_of_lattice, np.linspace(-60, 60, 10), 0.2, 15.0, lattice=True, tip_nm=0.3),
    "honeycomb": Case(
        honeycomb,
        lambda b: {"hopping_mev": b.hopping_mev, "dirac_energy_mev": -b.chemical_potential_mev},
        np.linspace(40, 85, 10),
        0.2,
        8.0,
        lattice=True,
        tip_nm=0.3,
    ),
    "triangular": Case(triangular, truth_of_lattice, np.linspace(-60, 60, 10), 0.2, 15.0, lattice=True, tip_nm=0.3),
}


def simulate(case: Case, seed: int) -> tuple[np.ndarray, np.ndarray, BandStructure]:
    """Return the layers, the defects and the band of a seed."""
    rng = np.random.default_rng(seed)
    structure = case.structure(rng)
    positions = rng.uniform(0, SHAPE[0] - 1, (DEFECTS, 2))
    layers = []
    for energy in case.energies_mev:
        scattering = DefectScattering(structure, float(energy), case.broadening_mev, case.potential_mev, case.tip_nm)
        clean = superpose(band_pattern(scattering, SHAPE[0] * case.pitch_nm), positions, SHAPE, case.pitch_nm)
        smooth = gaussian_filter(rng.standard_normal(SHAPE), BACKGROUND_PX, mode="reflect")
        layers.append(clean + clean.std() * (NOISE * rng.standard_normal(SHAPE) + BACKGROUND * smooth / smooth.std()))
    return np.stack(layers).astype(np.float32), positions, structure


def measure(family: str, seed: int, compared: list[str]) -> tuple[str, dict[str, float], bool]:
    """Return a line, the relative or absolute errors over the stated deviations, and whether the evidence chose the family."""
    case = CASES[family]
    layers, positions, structure = simulate(case, seed)
    lattice = (structure.lattice_constant_nm, structure.angle) if case.lattice else None
    started = time.process_time()
    if compared:
        whole = compare_band_models(layers, positions, case.energies_mev, case.pitch_nm, models=[family, *compared], lattice=lattice)
        found = next(one for one in whole.models if one.name == family)
        chosen = whole.best is not None and whole.best.name == family
        verdict = ", ".join(f"{one.name} {one.log_evidence.get('band', float('nan')):.0f}" for one in whole.models)
    else:
        found = fit_band_model(layers, positions, case.energies_mev, case.pitch_nm, model=family, lattice=lattice)
        chosen, verdict = found.claimed, ""
    seconds = time.process_time() - started
    evidence = ", ".join(f"{name} {value:.0f}" for name, value in found.log_evidence.items())
    off, parts = {}, []
    for name, value in case.truth(structure).items():
        if name in found.parameters:
            fitted, deviation = found.parameters[name]
            off[name] = (fitted - value) / deviation
            parts.append(f"{name} {fitted:.4g} ± {deviation:.2g} (truth {value:.4g}, {off[name]:+.1f} σ)")
    line = f"{family} {seed}: claimed {found.claimed}; {'; '.join(parts)}; {evidence}; {verdict}; {seconds:.0f} s"
    return line, off, chosen


def as_grid_file(layers: np.ndarray, energies_mev: np.ndarray, pitch_nm: float) -> bytes:
    """Return a stack as a Nanonis grid (.3ds) of evenly spaced energies: records from the bottom row on, limits and place of each first."""
    count, height, width = layers.shape
    size_m = 1e-9 * pitch_nm * np.array([width, height])
    header = (
        f'Grid dim="{width} x {height}"',
        f"Grid settings=0;0;{size_m[0]:.9E};{size_m[1]:.9E};0",
        "Filetype=Linear",
        'Sweep Signal="Bias (V)"',
        'Fixed parameters="Sweep Start;Sweep End"',
        'Experiment parameters="X (m);Y (m)"',
        "# Parameters (4 byte)=4",
        f"Experiment size (bytes)={4 * count}",
        f"Points={count}",
        'Channels="LI Demod 1 X (A)"',
        ":HEADER_END:",
        "",
    )
    records = np.empty((height, width, 4 + count), dtype=">f4")
    records[..., :2] = 1e-3 * energies_mev[[0, -1]]
    row, column = np.mgrid[:height, :width]
    records[..., 2] = ((column + 0.5) / width - 0.5) * size_m[0]
    records[..., 3] = ((row + 0.5) / height - 0.5) * size_m[1]
    records[..., 4:] = np.moveaxis(layers, 0, 2)[::-1]
    return "\r\n".join(header).encode() + records.tobytes()


def write(family: str, seed: int, folder: Path) -> None:
    """Write stack.3ds and defects.csv, and print the truth."""
    case = CASES[family]
    layers, positions, structure = simulate(case, seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stack.3ds").write_bytes(as_grid_file(layers, case.energies_mev, case.pitch_nm))
    np.savetxt(folder / "defects.csv", positions, delimiter=",", header="x_px,y_px", comments="", fmt="%.3f")
    print(f"{family} {seed}, {case.pitch_nm} nm a pixel: {case.truth(structure)}")


def nothing(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float | tuple[float, float]]:
    """Return layers without a band, defects, energies and pitch: white noise, an atomic lattice in noise, or a measured grid of 5 nm."""
    rng = np.random.default_rng(seed)
    energies, positions = np.linspace(-60, 120, 10), rng.uniform(0, SHAPE[0] - 1, (DEFECTS, 2))
    if kind == "measured":
        scan = load_map(MEASURED)
        places = np.array([[14.6, 3.6], [4.4, 12.3]])
        return scan.stack()[seed::16], places, scan.bias_mv[seed::16], scan.pixel_size_nm
    noise = rng.standard_normal((energies.size, *SHAPE))
    if kind == "noise":
        return noise, positions, energies, 0.2
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] * 0.2
    lattice = sum(np.cos(2 * np.pi / 0.9 * (np.cos(a) * x + np.sin(a) * y)) for a in np.pi / 3 * np.arange(3) + rng.uniform(0, np.pi))
    return lattice * np.linspace(1, 2, energies.size)[:, None, None] + 0.5 * noise, positions, energies, 0.2


def claim_nothing(kind: str, seed: int, models: list[str]) -> tuple[str, int]:
    """Return a line, and how many of the models claim a band where there is none."""
    layers, positions, energies, pitch = nothing(kind, seed)
    started = time.process_time()
    whole = compare_band_models(layers, positions, energies, pitch, models=models, lattice=(0.6, 0.0))
    told = ", ".join(f"{one.name} {one.log_evidence.get('band', float('nan')):.0f}" for one in whole.models)
    claimed = sum(one.claimed for one in whole.models)
    return f"{kind} {seed}: {claimed} claimed; {told}; {time.process_time() - started:.0f} s", claimed


def main() -> None:
    """Print a line a stack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--compare", nargs="+", default=[], help="families that are fitted as well")
    parser.add_argument("--nothing", nargs="+", default=[], choices=("noise", "lattice", "measured"), help="stacks without a band instead")
    parser.add_argument("--write", type=Path, metavar="DIR", help="write the stack of the first family and seed, and its defects, as files")
    args = parser.parse_args()
    if args.write is not None:
        write(args.families[0], args.first, args.write)
        return
    for kind in args.nothing:
        for seed in range(args.first, args.first + args.seeds):
            print(claim_nothing(kind, seed, args.compare or list(BAND_MODELS))[0], flush=True)
    if args.nothing:
        return
    for family in args.families:
        within, numbers, right = 0, 0, 0
        for seed in range(args.first, args.first + args.seeds):
            line, off, chosen = measure(family, seed, [name for name in args.compare if name != family])
            print(line, flush=True)
            within += sum(abs(one) < 2 for one in off.values())
            numbers += len(off)
            right += chosen
        print(f"{family}: {within} of {numbers} numbers within two deviations, {right} of {args.seeds} right", flush=True)


if __name__ == "__main__":
    main()
