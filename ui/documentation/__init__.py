"""The Documentation page."""
