"""From an energy stack and its defects to the kernel of every layer and the dispersion."""

from ui.stack_page import show_stack_page

show_stack_page()
