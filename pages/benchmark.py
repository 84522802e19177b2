"""What each released model is and what every method reaches."""

from ui.benchmark_page import show_benchmark_page

show_benchmark_page()
