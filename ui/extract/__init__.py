"""The Extract page: map, defects, kernel."""
