"""A band fitted to the maps of a stack themselves: sufficient statistics, likelihood, search."""
