"""Eq. 7 of the paper: its derivatives, its fit to a map, and what the methods take from it."""
