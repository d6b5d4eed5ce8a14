"""Networks of other formats, written down step by step: ONNX and exported programs of PyTorch."""
