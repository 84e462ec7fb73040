"""ONNX graphs rewritten: cleaned, cut, converted."""
