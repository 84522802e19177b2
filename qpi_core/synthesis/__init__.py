"""Simulated kernels, scenes and data sets."""
