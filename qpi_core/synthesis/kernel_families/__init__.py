"""Simulated kernels: Eq. 7, angular harmonics, splines, and those without symmetry."""
