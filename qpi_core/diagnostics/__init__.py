"""Sentences that say what a map cannot tell."""
