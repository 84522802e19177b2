"""Bands and gaps from simulated stacks, against the truth."""
