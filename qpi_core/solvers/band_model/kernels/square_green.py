"""The Green's function of a band around a point by a sum over a square grid of wave vectors.

    G(r) = int d^2q / (2 pi)^2  exp(i q . r) g(q)

For bands whose contours do not surround the zone's centre, such as those around the corners of a honeycomb lattice's zone: they would
take hundreds of angular orders in polar coordinates (polar_green.py). The grid's spacing repeats G a few radii of the kernels away, where
its waves have decayed; g is brought smoothly to zero at the wave vectors that pixels cannot resolve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

Array = NDArray[np.float64]
Waves = NDArray[np.complex128]

_REPETITIONS = 8.0
_TAPER = 0.8
_SPLINE_ORDER = 5
_MARGIN_PX = 12


@dataclass(frozen=True, eq=False)
class SquareTransform:
    """From a square grid of wave vectors to places in polar coordinates.

    Attributes:
        kx, ky: (1, n), (n, 1) rad/nm, in the order of a Fourier transform.
        weight: (n, n) the taper over the area of the box.
        places: (2, r, angles) rows and columns, in pixels of the part around the defect that is kept.
        half: pixels of that part on either side of the defect.
    """

    kx: Array
    ky: Array
    weight: Array
    places: Array
    half: int

    @classmethod
    def on(cls, radii: Array, angles: Array, pitch_nm: float) -> SquareTransform:
        """Return the transform to radii (nm) and angles (rad) from +x towards +y; q ends at the Nyquist wave number of the pitch."""
        reach = float(radii.max())
        count = int(fft.next_fast_len(int(np.ceil(_REPETITIONS * reach / pitch_nm))))
        k = 2 * np.pi * fft.fftfreq(count, pitch_nm)
        share = np.hypot(k[None, :], k[:, None]) / (np.pi / pitch_nm)
        taper = np.cos(0.5 * np.pi * np.clip((share - _TAPER) / (1 - _TAPER), 0.0, 1.0)) ** 2
        half = int(np.ceil(reach / pitch_nm)) + _MARGIN_PX
        across = np.stack([radii[:, None] * np.sin(angles), radii[:, None] * np.cos(angles)]) / pitch_nm + half
        return cls(k[None, :], k[:, None], taper / pitch_nm**2, across, half)

    def places_of(self, g: Waves) -> Waves:
        """Return G, (r, angles), of g given on the grid of wave vectors, (n, n)."""
        whole = fft.ifft2(g * self.weight)
        kept = np.arange(-self.half, self.half + 1)
        around = whole[np.ix_(kept, kept)]
        parts = [
            ndimage.map_coordinates(part, self.places, order=_SPLINE_ORDER, mode="nearest")
            for part in (np.ascontiguousarray(around.real), np.ascontiguousarray(around.imag))
        ]
        return np.asarray(parts[0] + 1j * parts[1])
