"""From a map and its defects to the kernel."""

from ui.extract.page import show_extract_page
from ui.widgets.entrance import enter_through_app

enter_through_app()
show_extract_page()
