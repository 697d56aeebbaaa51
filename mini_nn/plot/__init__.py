"""Pictures: readable in print, and without telling red from green.  matplotlib is imported when the first is drawn.

Each function writes one PNG, whole or not at all, to `path`: a name, or a binary file that is open.  Nothing of pyplot
is used, so no window opens and no state is shared.
"""

from mini_nn.plot.frame import MUTED, TRAIN, VALID, Sheet, figure, save, text, tile
from mini_nn.plot.inside import feature_maps, filters
from mini_nn.plot.measured import confusion, curves, rates, reliability
from mini_nn.plot.photographs import cams, mistakes, neighbours

__all__ = [
    "MUTED", "TRAIN", "VALID", "Sheet", "cams", "confusion", "curves", "feature_maps", "figure", "filters", "mistakes",
    "neighbours", "rates", "reliability", "save", "text", "tile",
]  # fmt: skip
