"""The benchmark: its scenes, its records, and the tables and plots that come of them."""
