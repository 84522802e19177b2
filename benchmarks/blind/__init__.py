"""Kernels and defects from the map alone: how many are found, and how often a trusted answer is wrong."""
