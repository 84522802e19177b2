"""The result of an extraction."""
