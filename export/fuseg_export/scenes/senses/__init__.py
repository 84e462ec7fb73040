"""What other sensors make of the scenes: sound, heat, ranges, video, another style."""
