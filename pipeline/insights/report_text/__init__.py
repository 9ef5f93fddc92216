"""The weekly report as people read it: in words, as one HTML file, as Markdown."""
