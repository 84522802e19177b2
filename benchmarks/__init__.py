"""What measures: each command writes its numbers beside itself, and the tables of the documents come from them."""
