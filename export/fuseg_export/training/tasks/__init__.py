"""What networks are trained on: a file for each task."""
