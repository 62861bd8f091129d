"""Measurements of the simulator, one module for each command.

| module     | command                     | measures                                                        |
| ---------- | --------------------------- | --------------------------------------------------------------- |
| `fidelity` | `python -m bench fidelity`  | errors against double precision, with `budget` and `sweeps`     |
| `speed`    | `python -m bench speed`     | ratios of times, with `four_f_chain`, `peers` and `steps`       |
| `memory`   | `python -m bench memory`    | memory of programs and processes                                |
| `ledger`   | `python -m bench ledger`    | cost of the hardware beside electronics                         |

Each measures rows, prints them as tables, and writes them beside their figure, which is a function of the
rows in `bench.plots`.
"""
