"""A pruned generator on disk: weights, manifest, model card, ONNX."""
