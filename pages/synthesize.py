"""Simulate a map with a known kernel and test every method on it."""

from ui.synthesize_page import show_synthesize_page

show_synthesize_page()
