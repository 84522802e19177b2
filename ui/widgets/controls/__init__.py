"""Controls whose values always lie where they may."""
