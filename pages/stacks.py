"""From an energy stack and its defects to the kernel of every layer and the dispersion."""

from ui.stacks.page import show_stack_page
from ui.widgets.entrance import enter_through_app

enter_through_app()
show_stack_page()
