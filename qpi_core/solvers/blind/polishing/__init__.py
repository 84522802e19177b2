"""From a rough activation map to the one that explains the map best."""
