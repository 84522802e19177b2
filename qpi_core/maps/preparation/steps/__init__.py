"""The steps of the preparation, one file a subject."""
