"""Controls and texts that several pages share."""
