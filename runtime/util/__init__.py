"""What the manual's C reference calls utilities, for Python: one module each, imported by whoever needs it."""
