"""Maps as they are measured, and simulated ones that hold what these do."""
