"""Which angular orders a kernel has, and what a fit leaves of the map."""
