"""All layers of an energy stack solved together."""
