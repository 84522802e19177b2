"""The application as its users meet it, measured from a browser."""
