"""Ways to predict with trained networks: several networks, several crops, and what each costs."""

from mini_nn.inference import crops, looking
from mini_nn.inference.costs import Cost, measure
from mini_nn.inference.ensembles import Ensemble, ensemble
from mini_nn.inference.keeping import predict
from mini_nn.inference.plan import Plan, compile
from mini_nn.inference.prediction import NOT_SURE, Prediction, decide

__all__ = [
    "NOT_SURE",
    "Cost",
    "Ensemble",
    "Plan",
    "Prediction",
    "compile",
    "crops",
    "decide",
    "ensemble",
    "looking",
    "measure",
    "predict",
]
