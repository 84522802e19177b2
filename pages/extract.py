"""From a map and its defects to the kernel."""

from ui.extract_page import show_extract_page

show_extract_page()
