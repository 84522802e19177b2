"""Rough activation maps to start a blind search from."""
