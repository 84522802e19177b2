"""Work is kept while it is done and brought back."""
