"""What the commands for one item and for many share."""
