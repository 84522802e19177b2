"""From a map and its defects to the kernel."""

from ui.entrance import enter_through_app
from ui.extract_page import show_extract_page

enter_through_app()
show_extract_page()
