"""Data: by name, from a folder of photographs or from arrays; augmented, and loaded by threads."""

from mini_nn.data import augment as augment
from mini_nn.data.datasets import load as load
from mini_nn.data.folders import folder as folder
from mini_nn.data.loader import Loader as Loader
from mini_nn.data.memory import arrays as arrays
from mini_nn.data.memory import npz as npz
from mini_nn.data.recipe import PRESETS as PRESETS
from mini_nn.data.recipe import Recipe as Recipe
from mini_nn.data.recipe import Step as Step
from mini_nn.data.recipe import preset as preset
from mini_nn.data.splits import ArraySplit as ArraySplit
from mini_nn.data.splits import PhotoSplit as PhotoSplit
from mini_nn.data.splits import Split as Split
from mini_nn.data.splits import Splits as Splits
