"""The search for the noise model of a map, together with its kernels."""
