"""Sessions of Omicron and Scienta Matrix."""
