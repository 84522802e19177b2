"""Phase-resolved interference: what is odd in energy, and whether a superconducting gap changes its sign."""
