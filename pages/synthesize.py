"""Simulate a map with a known kernel and test every method on it."""

from ui.entrance import enter_through_app
from ui.synthesize_page import show_synthesize_page

enter_through_app()
show_synthesize_page()
