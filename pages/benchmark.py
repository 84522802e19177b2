"""What each released model is and what every method reaches."""

from ui.benchmark.page import show_benchmark_page
from ui.widgets.entrance import enter_through_app

enter_through_app()
show_benchmark_page()
