"""The likelihood of waves on one stack: every layer scanned for a wave number of its own, and bands through what they say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.band_model.families.family import BandKernels
from qpi_core.solvers.band_model.kernels.free_electron import core_columns, wave_columns
from qpi_core.solvers.band_model.kernels.kernel_space import KernelSpace
from qpi_core.solvers.band_model.layers import FreeKernel, Layer, solve_free, solve_free_orders
from qpi_core.solvers.band_model.projections import Projections

Array = NDArray[np.float64]

_CORE_WIDTHS, _SIZES = np.geomspace(1e-3, 1e7, 11), np.geomspace(1.0, 1e6, 7)
PRICE = float(np.log(len(_CORE_WIDTHS[::2]) * len(_SIZES)))
"""Log of the number of prior variances that the best pair of a layer was chosen from."""
CORE_PRICE = float(np.log(len(_CORE_WIDTHS)))
_DIRECTIONS = np.linspace(0.25, 11.25, 12) * np.pi / 12
_SEEN, _ROOM = 10.0, 1.6
_APART = 8
"""Steps of the grid of candidates, half the resolution in wave number each."""


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
    """The likelihood of waves on one stack."""

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
        self._core = core_columns(statistics.splines, max(rule.core_nm / pitch_nm, 2.0))
        self.core = np.asarray(np.kron(np.eye(statistics.blocks), self._core), dtype=np.float64)
        least, most = rule.least_periods * np.pi / self.reach, rule.largest_share * np.pi / pitch_nm
        self.wavenumbers = np.arange(least, most, 0.4 / self.reach)
        isotropic = statistics.isotropic()
        flat = [solve_free(isotropic, index, 0.0, rounds=3) for index in range(len(energy_mev))]
        self._choose(flat)
        found = self.wavenumbers[np.argmax(self.scan, axis=1)]
        # Again with the wave that was found in the prior of the free kernel, a stronger competitor and a better noise.
        solve = solve_free if statistics.blocks == 1 else solve_free_orders
        self._choose([solve(statistics, index, 2 * float(k) * pitch_nm) for index, k in enumerate(found)])
        self._integrate_cores()
        # Of the layers that show a wave at all, the longest wave vector, and room for contours that reach further in some directions.
        seen = self.scan.max(axis=1) > _SEEN
        longest = float(found[seen].max()) if seen.any() else float(self.wavenumbers[-1])
        self.space = KernelSpace(statistics.splines, pitch_nm, statistics.orders, min(_ROOM * longest, float(self.wavenumbers[-1])))

    def _choose(self, free: list[FreeKernel]) -> None:
        """Take over free kernels with their noise, scan every layer for waves, and choose the prior variances of its amplitudes."""
        lengths = [share * self.reach for share in self.rule.mean_free_paths]
        k = (self.wavenumbers + 1e-6j).astype(np.complex128)
        shapes = [wave_columns(k, 1 / length, self.statistics.splines, self.pitch) for length in lengths]
        scans = [_scan_layer(one.layer.first(self.statistics.splines.count), self._core, shapes) for one in free]
        self.free = free
        self.scan = np.stack([one.gains for one in scans])
        self.core_priors, self.amplitudes = [one.core_prior for one in scans], [one.amplitude for one in scans]
        self.core_alone = float(sum(one.core_alone for one in scans))
        self.path = float(np.median([lengths[one.shape] for one in scans]))

    def _integrate_cores(self) -> None:
        """Integrate out the cores of every angular function once for all; several are under the variance that the first chose."""
        size = self.core.shape[1]
        self.layers = [
            one.layer.integrated(self.core, np.full(size, prior)) for one, prior in zip(self.free, self.core_priors, strict=True)
        ]
        if self.statistics.blocks > 1:
            self.core_alone = float(sum(one.empty for one in self.layers)) - len(self.layers) * CORE_PRICE

    def cost(self, columns: Array) -> float:
        """Return -log p of the stack with waves given by their coefficients, (energies, c, m), over that of cores alone."""
        total = 0.0
        for layer, wave, width in zip(self.layers, columns, self.amplitudes, strict=True):
            total += layer.first(wave.shape[0]).log_marginal(wave, np.full(wave.shape[1], width))
        return self.core_alone - total + len(self.free) * PRICE

    @property
    def gain_of_free(self) -> float:
        """Return log p of free kernels over cores alone, the choice of their wave numbers paid for."""
        paid = len(self.free) * float(np.log(self.wavenumbers.size))
        return sum(one.log_marginal for one in self.free) - paid - self.core_alone

    def gains(self, family: BandKernels, line: Array, shape: Array) -> Array:
        """Return (energies, s) what every layer gains by the wave of a band at a coordinate s, averaged over directions."""
        radii = family.contour(line, shape, _DIRECTIONS)
        k = np.where(np.isfinite(radii), radii, 0.0)
        every = [np.interp(k, self.wavenumbers, gain, left=0.0, right=0.0).mean(axis=1) for gain in self.scan]
        return np.stack(every)

    def candidates(self, family: BandKernels, shape: Array) -> list[tuple[float, float]]:
        """Return s at the lowest and at the highest energy of the most likely bands of one shape that differ from each other."""
        line = family.line(float(self.wavenumbers[-1]), 0.5 / self.reach)
        gains = self.gains(family, line, shape)
        share = (self.energy - self.energy.min()) / np.ptp(self.energy)
        total = np.zeros((line.size, line.size))
        for gain, at in zip(gains, share, strict=True):
            total += np.interp((1 - at) * line[:, None] + at * line, line, gain)
        if family.rising:
            total[np.tril_indices(line.size)] = -np.inf
        found: list[tuple[int, int]] = []
        for place in np.argsort(total, axis=None)[::-1]:
            low, high = (int(index) for index in np.unravel_index(int(place), total.shape))
            if low != high and all(abs(low - a) + abs(high - b) > _APART for a, b in found):
                found.append((low, high))
            if len(found) == self.rule.refined:
                break
        return [(float(line[low]), float(line[high])) for low, high in found]


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


def _scan_layer(layer: Layer, core: Array, shapes: list[Array]) -> LayerScan:
    unit = 1.0 / float(np.mean(np.diag(layer.gram)[: core.shape[1]]))
    widths = unit * _CORE_WIDTHS
    alone = max(layer.log_marginal(core, np.full(core.shape[1], width)) for width in widths) - CORE_PRICE
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
