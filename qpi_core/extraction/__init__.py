"""From a map and its defects to an estimate (extractor.py is the door of this folder)."""
