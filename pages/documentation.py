"""The documentation of the repository, in the app."""

from ui.documentation_page import show_documentation_page

show_documentation_page()
