"""Left side of the Extract page: the map, and what stands beside and under it."""
