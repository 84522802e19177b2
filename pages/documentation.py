"""The documentation of the repository, in the app."""

from ui.documentation.page import show_documentation_page
from ui.widgets.entrance import enter_through_app

enter_through_app()
show_documentation_page()
