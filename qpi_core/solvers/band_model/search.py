"""The likelihood of waves on one stack: every layer scanned for a wave number of its own, and parabolas through what they say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.band_model.free_electron import ROUNDING_PX2, core_columns, wave_columns
from qpi_core.solvers.band_model.layers import FreeKernel, solve_free
from qpi_core.solvers.band_model.projections import Projections

Array = NDArray[np.float64]

_CORE_WIDTHS, _SIZES = np.geomspace(1e-3, 1e7, 11), np.geomspace(1.0, 1e6, 7)
PRICE = float(np.log(len(_CORE_WIDTHS[::2]) * len(_SIZES)))
"""Log of the number of prior variances that the best pair of a layer was chosen from."""


@dataclass(frozen=True)
class BandFitRule:
    """Numbers that a fit depends on.

    Attributes:
        core_nm: radius of the free core; at least two pixels.
        least_periods: waves shorter than this in the radius of the kernels are looked for.
        largest_share: of the Nyquist wave number, up to which k = q / 2 is looked for.
        mean_free_paths: of the scan, in shares of the radius.
        broadenings_mev: prior range of Gamma.
        path_range: prior range of l, in pixels.
        refined: candidates of the grid that are refined.
    """

    core_nm: float = 0.6
    least_periods: float = 0.5
    largest_share: float = 0.45
    mean_free_paths: tuple[float, ...] = (0.1, 0.4)
    broadenings_mev: tuple[float, float] = (0.05, 200.0)
    path_range: tuple[float, float] = (2.0, 3000.0)
    refined: int = 3


class BandSearch:
    """The likelihood of bands on one stack."""

    def __init__(self, statistics: Projections, energy_mev: Array, pitch_nm: float, rule: BandFitRule) -> None:
        """Solve the layers freely and scan each for waves.

        Args:
            statistics: of the stack.
            energy_mev: (energies,).
            pitch_nm: length of the square pixel of the same area.
            rule: settings.
        """
        self.statistics, self.energy, self.pitch, self.rule = statistics, energy_mev, pitch_nm, rule
        self.reach = statistics.splines.radius * pitch_nm
        self.core = core_columns(statistics.splines, max(rule.core_nm / pitch_nm, 2.0))
        least, most = rule.least_periods * np.pi / self.reach, rule.largest_share * np.pi / pitch_nm
        self.wavenumbers = np.arange(least, most, 0.4 / self.reach)
        flat = [solve_free(statistics, index, 0.0, rounds=3) for index in range(len(energy_mev))]
        self._choose(flat)
        found = self.wavenumbers[np.argmax(self.scan, axis=1)]
        # Again with the wave that was found in the prior of the free kernel, a stronger competitor and a better noise.
        self._choose([solve_free(statistics, index, 2 * float(k) * pitch_nm) for index, k in enumerate(found)])

    def _choose(self, free: list[FreeKernel]) -> None:
        """Take over free kernels with their noise, scan every layer for waves, and choose the prior variances of its amplitudes."""
        lengths = [share * self.reach for share in self.rule.mean_free_paths]
        k = (self.wavenumbers + 1e-6j).astype(np.complex128)
        shapes = [wave_columns(k, 1 / length, self.statistics.splines, self.pitch) for length in lengths]
        scans = [_scan_layer(one, self.core, shapes) for one in free]
        self.free, self.core_alone = free, float(sum(one.core_alone for one in scans))
        self.scan = np.stack([one.gains for one in scans])
        self.priors, self.amplitudes = [one.core_prior for one in scans], [one.amplitude for one in scans]
        self.path = float(np.median([lengths[one.shape] for one in scans]))

    def cost(self, kappa: NDArray[np.complex128], inverse_mean_free_path: float, rounding_px2: float = ROUNDING_PX2) -> float:
        """Return -log p of the stack with waves of kappa, (energies,) rad/nm, over that of cores alone."""
        waves = wave_columns(kappa, inverse_mean_free_path, self.statistics.splines, self.pitch, rounding_px2)
        total = 0.0
        for one, prior, wave, width in zip(self.free, self.priors, waves, self.amplitudes, strict=True):
            columns = np.concatenate([wave, self.core], axis=1)
            total += one.layer.log_marginal(columns, np.concatenate([[width, width], np.full(self.core.shape[1], prior)]))
        return self.core_alone - total + len(self.free) * PRICE

    @property
    def gain_of_free(self) -> float:
        """Return log p of free kernels over cores alone, the choice of their wave numbers paid for."""
        paid = len(self.free) * float(np.log(self.wavenumbers.size))
        return sum(one.log_marginal for one in self.free) - paid - self.core_alone

    def candidates(self) -> list[tuple[float, float]]:
        """Return (k^2 at the lowest, at the highest energy) of the most likely parabolas that differ from each other."""
        most = self.wavenumbers[-1]
        line = np.arange(-0.7 * most, most, 0.5 / self.reach)
        squares = np.sign(line) * line**2
        share = (self.energy - self.energy.min()) / np.ptp(self.energy)
        total = np.zeros((squares.size, squares.size))
        for gain, at in zip(self.scan, share, strict=True):
            k2 = (1 - at) * squares[:, None] + at * squares
            k = np.sqrt(np.maximum(k2, 0.0))
            total += np.where(k2 > 0, np.interp(k, self.wavenumbers, gain, left=0.0, right=0.0), 0.0)
        found: list[tuple[float, float]] = []
        for place in np.argsort(total, axis=None)[::-1]:
            low, high = (line[int(index)] for index in np.unravel_index(int(place), total.shape))
            if all(abs(low - a) + abs(high - b) > 4 / self.reach for a, b in found):
                found.append((float(low), float(high)))
            if len(found) == self.rule.refined:
                break
        return [(np.sign(low) * low**2, np.sign(high) * high**2) for low, high in found]


@dataclass(frozen=True, eq=False)
class LayerScan:
    """What one layer says of waves of every wave number.

    Attributes:
        gains: (k,) log p of a wave over the core alone, the choice of the variances paid for.
        shape: index of the decay that fits better.
        core_alone: log p of the core alone.
        core_prior, amplitude: the most likely prior variances of the core's coefficients and of the wave's two amplitudes.
    """

    gains: Array
    shape: int
    core_alone: float
    core_prior: float
    amplitude: float


def _scan_layer(free: FreeKernel, core: Array, shapes: list[Array]) -> LayerScan:
    layer = free.layer
    unit = 1.0 / float(np.mean(np.diag(layer.gram)[: core.shape[1]]))
    widths = unit * _CORE_WIDTHS
    alone = max(layer.log_marginal(core, np.full(core.shape[1], width)) for width in widths) - float(np.log(len(widths)))
    best: LayerScan | None = None
    for index, waves in enumerate(shapes):
        crossed = np.einsum("ncm,cd->nmd", waves, layer.gram, optimize=True)
        own, data = crossed @ waves, waves.transpose(0, 2, 1) @ layer.projection
        for width in widths[::2]:
            root = core * np.sqrt(width)
            inner = np.linalg.inv(np.eye(core.shape[1]) + root.T @ layer.gram @ root)
            base = layer.log_marginal(core, np.full(core.shape[1], width)) - alone
            # What the core can take up of a wave does not count.
            through = crossed @ root
            gram = own - through @ inner @ through.transpose(0, 2, 1)
            right = data - through @ (inner @ (root.T @ layer.projection))
            scale = 2.0 / float(np.median(np.trace(gram, axis1=1, axis2=2)))
            for size in scale * _SIZES:
                whole = np.eye(2) + size * gram
                solved = np.linalg.solve(whole, right[:, :, None])[:, :, 0]
                gains = base + 0.5 * size * np.einsum("nm,nm->n", right, solved) - 0.5 * np.linalg.slogdet(whole)[1] - PRICE
                if best is None or gains.max() > best.gains.max():
                    best = LayerScan(gains, index, alone, float(width), float(size))
    assert best is not None, "there is at least one decay"
    return best
