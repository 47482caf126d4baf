"""What the words mean: frozen values and the laws between them. No I/O, nothing of a vendor."""
