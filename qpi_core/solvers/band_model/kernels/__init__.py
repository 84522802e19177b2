"""Kernels of a point defect in a given band: Green's functions, and their patterns in a basis."""
