"""Presets: named devices, in which every number has a unit, a range and a source.

| preset | device |
| --- | --- |
| `ideal` | the exact transform, noiseless, of any shape |
| `engine11` | 11×11 complex emitters, a lens, coherent receivers |
| `slm-4f`, `slm-fast` | phase panel and camera, 16×16 numbers as two phases each, or up to the whole panel |
| `intensity-4f` | the parts of slm-4f without a reference beam: phases by retrieval |
| `dmd-4f` | micromirrors and camera, 16×16 numbers in bit planes, or up to the whole panel |
| `correlator` | 4f correlator: pairs of panels set complex numbers and a complex filter; camera |
| `phase-correlator` | the same with a filter of phases alone: another function than the convolution |
| `jtc` | joint transform correlator on a chip, lines of 21 numbers |

    device = optics.presets.load("engine11", photons=1000)
    print(optics.presets.describe("engine11"))

A number takes a square of panel pixels. `optics.presets.load("slm-fast", pixels=512, group=2)` is the whole
panel of 1,024×1,024; its lens takes minutes to compile.

A preset is one data file beside this one. At its head stand `about`, `kind` (the builder) and `hardware`
(what `optics.accounting` takes for its cost), then one entry for each number: `value`, `unit`, `source`,
`low` and `high`, with `guess = true` where the value is our choice, and a `spread` where units differ in it.
The entries of the tables `lens`, `slm` and `camera` belong to that part of the device. Their names are unique
in the file: they are the overrides of `load`. The draws of a unit depend on the order of the entries, so add
new ones at the end.

A new device of a kind that is there is one new data file. A new kind is also one function in `_build.py`.
"""

from optics.presets._load import describe as describe
from optics.presets._load import hardware as hardware
from optics.presets._load import load as load
from optics.presets._load import names as names
