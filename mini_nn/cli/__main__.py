"""`python -m mini_nn.cli`."""

import sys

from mini_nn.cli import main

if __name__ == "__main__":
    sys.exit(main())
