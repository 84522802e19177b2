"""Bands over the energies of a stack."""
