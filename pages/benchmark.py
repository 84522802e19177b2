"""What each released model is and what every method reaches."""

from ui.benchmark_page import show_benchmark_page
from ui.entrance import enter_through_app

enter_through_app()
show_benchmark_page()
