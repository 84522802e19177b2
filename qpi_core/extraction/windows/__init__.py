"""The kernel window that the pattern itself asks for."""
