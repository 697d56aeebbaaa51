"""Kernels written with tiles of registers, and the program that runs a whole network of them."""
