"""What extraction costs."""
