"""A piece of work as one file, to go on with later or on another computer (session_file.py is the door of this folder)."""
