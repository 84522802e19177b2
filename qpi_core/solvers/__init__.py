"""Kernels from a map and its defect positions: a file or a folder a method, one signature."""
