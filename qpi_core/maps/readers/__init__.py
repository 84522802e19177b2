"""One reader a file format, in folders by where the files come from."""
