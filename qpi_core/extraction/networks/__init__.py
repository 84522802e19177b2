"""The methods that are networks: their models, read when first needed, and their kernels."""
