"""Kernels that train: a convolution reads its input through the BatchNorm and the activation before it.

Between two convolutions a readable network writes and reads five large arrays on the way forward, and more on the way back;
memory, not arithmetic, sets its pace.  Here only z, what a convolution puts out, is stored.  Whoever needs the activation
computes it again for a few rows, which then are in the L2 cache, and gathers there what BatchNorm wants to know.
"""
