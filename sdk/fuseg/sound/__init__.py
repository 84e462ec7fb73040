"""Sound: other sampling rates, and pictures of its frequencies. NumPy alone."""
