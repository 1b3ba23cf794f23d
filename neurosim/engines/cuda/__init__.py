"""The engine for NVIDIA GPUs, and its phases on the CPU to check them by."""
