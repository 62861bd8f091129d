"""Training runs: train, test and export the network of a `nets.Config`, and read the folder of a run.

    result = nets.fit(nets.Config(out="runs/digits"))       train, or continue
    network = nets.run.load("runs/digits")                  network.config, network.dataset, network.model
    rows = nets.run.evaluate("runs/digits", "engine11")     test on a device
    paths = nets.run.export("runs/digits")                  for use without this package
    tokens = nets.run.generate("runs/reviews", "The film")  text of a language model

A run is a folder:

| file              | content                                                                    |
| ----------------- | -------------------------------------------------------------------------- |
| `config.json`     | options; fingerprint of the data, parameters, versions and commit          |
| `metrics.jsonl`   | a line every few steps, one for each epoch, and the result as the last one |
| `checkpoints/`    | network, optimizer and position: the best epoch and the last two           |
| `predictions.npz` | labels and predicted classes of the test rows, or losses of test documents  |
| `curves.png`      | loss and accuracy                                                          |
| `tokenizer.json`  | of a run on text                                                           |
| `tracking.json`   | of a run with `log_to`: its name there, and how many lines each program has |

`RunFolder(path)` reads these files one by one. For a training loop of your own there are `build_model`,
`build_device`, `compile_steps` and `loss_sums`; `choose_device` is the same run on other devices,
`load_weights` gives a network the weights of a run, and `named_arrays` and `with_arrays` take the arrays of a
state out and put them back.
"""

from nets.run._build import build_device as build_device
from nets.run._build import build_model as build_model
from nets.run._build import choose_device as choose_device
from nets.run._build import count_parameters as count_parameters
from nets.run._build import seed_rngs as seed_rngs
from nets.run._checkpoint import Checkpoints as Checkpoints
from nets.run._checkpoint import RunState as RunState
from nets.run._checkpoint import load_weights as load_weights
from nets.run._checkpoint import named_arrays as named_arrays
from nets.run._checkpoint import read_state as read_state
from nets.run._checkpoint import with_arrays as with_arrays
from nets.run._curves import plot_curves as plot_curves
from nets.run._diagnose import first_not_finite as first_not_finite
from nets.run._environment import provenance as provenance
from nets.run._environment import usual_promotion as usual_promotion
from nets.run._evaluate import evaluate as evaluate
from nets.run._export import export as export
from nets.run._exposures import choose_exposures as choose_exposures
from nets.run._fit import fit as fit
from nets.run._folder import RunFolder as RunFolder
from nets.run._generate import WrittenToken as WrittenToken
from nets.run._generate import encode_prompt as encode_prompt
from nets.run._generate import generate as generate
from nets.run._generate import load_language_model as load_language_model
from nets.run._lines import read_lines as read_lines
from nets.run._population import Objective as Objective
from nets.run._population import build_population as build_population
from nets.run._recalibrate import measure_layer_scales as measure_layer_scales
from nets.run._recalibrate import recalibrate as recalibrate
from nets.run._steps import compile_steps as compile_steps
from nets.run._steps import loss_sums as loss_sums
from nets.run._trained import TrainedNetwork as TrainedNetwork
from nets.run._trained import load as load
from nets.run._writer import write as write
