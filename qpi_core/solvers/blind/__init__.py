"""Kernel and defects from a map alone: no position is known (search.find_blindly is the door of this folder)."""
