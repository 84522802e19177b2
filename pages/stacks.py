"""From an energy stack and its defects to the kernel of every layer and the dispersion."""

from ui.entrance import enter_through_app
from ui.stack_page import show_stack_page

enter_through_app()
show_stack_page()
