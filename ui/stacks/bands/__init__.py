"""Bands on the Stacks page: beside the measured pattern, and fitted to the maps."""
