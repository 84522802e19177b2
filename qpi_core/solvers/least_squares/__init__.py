"""Least squares on the pixels of a map: kernels under a prior that only decays, and the amplitude of a kernel that is known."""
