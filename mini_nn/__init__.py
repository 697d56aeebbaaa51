"""mini_nn: mobile vision networks by hand.  Import the parts: `from mini_nn import models, init, profile`."""

__version__ = "0.1.0"
