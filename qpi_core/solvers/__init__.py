"""Kernels from a map and its defect positions: one file a method, one signature."""
