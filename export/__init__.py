"""Checkpoint to ONNX bundle, through Optimum: fp16 for CUDA, int8 for the CPU, each compared with PyTorch."""
