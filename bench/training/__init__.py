"""Measurements of trained networks, one module for each command.

| module | command | content |
| --- | --- | --- |
| `experiments` | `python -m bench experiments` | train every variant of a plan over its seeds |
| `tuning` | `python -m bench tuning` | choose one option of every variant by validation |
| `populations` | `python -m bench populations` | accuracy over units, drift, averages |
| `studies` | `python -m bench studies` | trained networks on a device, and their gradients |
| `design` | `python -m bench design` | numbers of a device by gradient, against a grid |
| `accuracy` | `python -m bench accuracy` | test accuracies with intervals, baselines and tests |

A variant is the configuration of a run without its seed. `plans` reads the files of `bench/configs`, `runs`
reads the folders of runs, and `statistics` has the intervals and tests.
"""
