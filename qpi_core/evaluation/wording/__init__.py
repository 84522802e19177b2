"""Whether warnings say what they should."""
