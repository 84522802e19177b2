"""Kernels over wave vectors: spectra, rings, dispersions, lattices."""
