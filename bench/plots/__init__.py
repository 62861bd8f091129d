"""Figures of parts, runs and measurements. Every function returns a matplotlib `Figure`.

    plots.show(part)                                  a part of any kind
    plots.draw_recorded("bench/results/speed.json")   a recorded measurement

| a part                                  | drawn by                                          |
| --------------------------------------- | ------------------------------------------------- |
| lens, or device with its lenses         | `layout`: to scale, with rays                     |
| transfer                                | `transfer_matrix`: amplitude, phase, deviation    |
| device, effect, encoder, measurement    | `show`                                            |
| complex field; camera frames            | `field`; `frames`                                 |
| attention of a network                  | `attention_map`                                   |
| run folder                              | `training_curves`                                 |
| rows of a command of `python -m bench`  | the function of its name, such as `fidelity`      |
| rows of `bench.simulator.budget`        | `error_budget`                                    |

A new kind of part is a function here and a line `@show.register`; a new command is a function of its rows
here and a line in `_recorded.FIGURES`. The colours `BLUE`, `ORANGE`, `GREEN`, `PURPLE`, `SKY` and `RED` stay
apart for colour-blind readers.
"""

from bench.plots._accuracy import accuracy as accuracy
from bench.plots._attention import attention_map as attention_map
from bench.plots._curves import training_curves as training_curves
from bench.plots._design import design as design
from bench.plots._devices import devices as devices
from bench.plots._error_budget import error_budget as error_budget
from bench.plots._fidelity import fidelity as fidelity
from bench.plots._field import field as field
from bench.plots._frames import frames as frames
from bench.plots._language import language as language
from bench.plots._layout import layout as layout
from bench.plots._ledger import ledger as ledger
from bench.plots._memory import memory as memory
from bench.plots._overview import overview as overview
from bench.plots._panels import panels as panels
from bench.plots._pattern import pattern as pattern
from bench.plots._photons import photons as photons
from bench.plots._populations import populations as populations
from bench.plots._product import product as product
from bench.plots._products import products as products
from bench.plots._recorded import draw_recorded as draw_recorded
from bench.plots._roofline import roofline as roofline
from bench.plots._scale import BLUE as BLUE
from bench.plots._scale import GREEN as GREEN
from bench.plots._scale import ORANGE as ORANGE
from bench.plots._scale import PURPLE as PURPLE
from bench.plots._scale import RED as RED
from bench.plots._scale import SKY as SKY
from bench.plots._scale import image as image
from bench.plots._scale import quantity as quantity
from bench.plots._show import show as show
from bench.plots._speed import speed as speed
from bench.plots._studies import studies as studies
from bench.plots._transfer_matrix import transfer_matrix as transfer_matrix
from bench.plots._tuning import tuning as tuning
