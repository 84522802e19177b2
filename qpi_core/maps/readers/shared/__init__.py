"""What several readers need: limits, names, units, axes."""
