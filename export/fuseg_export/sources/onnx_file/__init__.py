"""An ONNX file as the network to export, instead of torch's."""
