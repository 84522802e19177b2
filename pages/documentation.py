"""The documentation of the repository, in the app."""

from ui.documentation_page import show_documentation_page
from ui.entrance import enter_through_app

enter_through_app()
show_documentation_page()
