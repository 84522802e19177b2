"""Maps as they are measured: the noise model, and the defects under it."""
