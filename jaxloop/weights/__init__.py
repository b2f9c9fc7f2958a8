"""Published weights: files and hub names -> variables."""
