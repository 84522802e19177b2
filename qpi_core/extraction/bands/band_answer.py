"""What may be said of a fitted band."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qpi_core.estimates.band_model import BandModel
from qpi_core.solvers.band_model.families.family import BandKernels
from qpi_core.solvers.band_model.families.lattices import TightBinding
from qpi_core.solvers.band_model.fit import FittedBand

LEAST_LAYERS = 3
LEAST_EVIDENCE = 10.0
"""Log evidence over no wave, and over one that does not disperse, from which on a band is claimed."""


def band_answer(family: BandKernels, fitted: FittedBand | None, energy: NDArray[np.float64]) -> BandModel:
    """Return a band fitted to layers of these energies with what may be claimed of it; None is a search that found nothing."""
    if fitted is None:
        return BandModel(family.name, {}, False, False, {}, 0.0, 0, (NO_BAND.format(family.title),))
    evidence = {"band": fitted.log_evidence, "no_dispersion": fitted.log_evidence_constant, "free_kernels": fitted.log_evidence_free}
    ahead = fitted.log_evidence - max(0.0, fitted.log_evidence_constant)
    explains = fitted.log_evidence > fitted.log_evidence_free
    if ahead <= LEAST_EVIDENCE or fitted.layers < LEAST_LAYERS:
        sentence = STANDS_STILL if fitted.log_evidence_constant > LEAST_EVIDENCE else NO_BAND.format(family.title)
        return BandModel(family.name, {}, False, False, evidence, fitted.explained, fitted.layers, (sentence,))
    deviations = np.sqrt(np.diag(fitted.covariance))
    parameters = {name: (float(value), float(spread)) for (name, value), spread in zip(fitted.numbers.items(), deviations, strict=True)}
    told = ", ".join(in_words(name, *parameters[name]) for name in parameters if name not in _DECAYS)
    sentences = [
        f"A {family.title}, fitted to {fitted.layers} layers: {told}.",
        EXPLAINS.format(fitted.log_evidence - fitted.log_evidence_free)
        if explains
        else EXPLAINS_PART.format(100 * fitted.explained, fitted.log_evidence_free - fitted.log_evidence),
    ]
    lattice = (family.lattice_constant_nm, family.angle_rad) if isinstance(family, TightBinding) else None
    rows = [(float(one), *(float(value) for value in row)) for one, row in zip(energy, fitted.wave_vectors, strict=True)]
    whole = [(row[0], row[1], row[2], row[3], row[4]) for row in rows if np.isfinite(row).all()]
    said = tuple(sentences)
    return BandModel(family.name, parameters, True, explains, evidence, fitted.explained, fitted.layers, said, lattice, tuple(whole))


def in_words(name: str, value: float, deviation: float) -> str:
    """Return a number of a band with its deviation, as many digits as the deviation's second one has."""
    base, _, number = name.rpartition("_") if name[-1].isdigit() else (name, "", "")
    symbol, unit = _SYMBOLS.get(base, (base.replace("_", " "), ""))
    digits = int(np.clip(1 - np.floor(np.log10(deviation)), 0, 6)) if deviation > 0 and np.isfinite(deviation) else 3
    return f"{symbol}{number} = {value:.{digits}f} ± {deviation:.{digits}f} {unit}".rstrip()


_DECAYS = ("broadening_mev", "mean_free_path_nm")
_SYMBOLS = {
    "band_edge_mev": ("E0", "meV"),
    "effective_mass": ("m*", "electron masses"),
    "dirac_energy_mev": ("E_D", "meV"),
    "velocity_km_per_s": ("v", "km/s"),
    "mass_ratio": ("mass ratio", ""),
    "angle_rad": ("direction", "rad"),
    "warping": ("warping", ""),
    "warping_mev_nm3": ("w", "meV nm³"),
    "hopping_mev": ("t", "meV"),
    "second_hopping_ratio": ("t'/t", ""),
    "band_centre_mev": ("band centre", "meV"),
}
NO_BAND = "The maps show no {}: no wave whose length follows it in energy stands out of the noise."
STANDS_STILL = (
    "The maps show a wave whose length does not change with energy, so no band: a lattice, a set-point effect or a pattern of the tip."
)
EXPLAINS = "The band explains the maps better than free kernels do (log evidence higher by {:.0f})."
EXPLAINS_PART = (
    "The band explains {:.0f} % of the power of the kernels, but free kernels explain the maps better (log evidence higher by {:.0f}): "
    "there is more in them than this band, and the deviations were widened accordingly."
)
