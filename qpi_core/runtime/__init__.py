"""How work is run: threads, devices, many items at once, progress."""
