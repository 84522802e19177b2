"""What one browser session works on, and what of it is kept."""
