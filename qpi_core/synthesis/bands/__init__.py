"""Kernels of electron bands that scatter off a defect, by the T-matrix."""
