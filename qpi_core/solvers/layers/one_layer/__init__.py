"""The kernels of one layer of a stack."""
