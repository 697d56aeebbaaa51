"""Train the micro EfficientNet-B0 that comes with the package (`make micro`, about 6 minutes on 2 cores).

Writes mini_nn/micro_b0.safetensors and results/micro_b0.json.  The weights are those of the last epoch: nothing was
chosen by its accuracy on the 1,000 digits that are held back.
"""

import json
import sys
from datetime import date
from pathlib import Path

from mini_nn import data, micro, weights
from mini_nn.files import written_whole

RESULTS = Path(__file__).parents[1] / "results"
EPOCHS = 24


def main() -> int:
    splits = data.load("mnist_5k")
    settings = micro.MICRO["efficientnet_b0"].with_(epochs=EPOCHS)
    model = settings.build(splits, seed=0)
    records = list(settings.fit(model, splits, seed=0))
    weights.save(model, micro.TRAINED)
    found = {
        "date": str(date.today()),
        "command": "python tools/train_micro.py",
        "settings": repr(settings),
        "bytes": micro.TRAINED.stat().st_size,
        "accuracy on 1,000 held-back digits": records[-1].valid_accuracy,
        "seconds of training": round(sum(r.seconds for r in records)),
    }
    with written_whole(RESULTS / "micro_b0.json") as file:
        file.write((json.dumps(found, indent=1) + "\n").encode())
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
