"""Pictures as the bytes of PNG, SVG or PDF files."""
