"""Finding defects in a map without knowing the kernel."""
