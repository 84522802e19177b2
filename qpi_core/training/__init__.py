"""Losses, data streams, recipes and the one training loop."""
