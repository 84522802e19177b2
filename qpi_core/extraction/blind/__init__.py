"""Kernels and defects from a map, or a stack of energies, without any position."""
