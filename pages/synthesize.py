"""Simulate a map with a known kernel and test every method on it."""

from ui.synthesize.page import show_synthesize_page
from ui.widgets.entrance import enter_through_app

enter_through_app()
show_synthesize_page()
