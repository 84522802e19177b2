"""Kinds of defects: those that a list of one kind holds, and those that it does not name."""
