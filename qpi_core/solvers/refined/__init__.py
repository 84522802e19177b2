"""The method `refined`: a prior mean, and the free correction of it that the map justifies."""
