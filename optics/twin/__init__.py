"""Fit a bench: any numbers of a simulated device, from camera frames recorded for known inputs.

A `Recording` holds the drives of the modulator, their full scale, and the frames that the camera took.
`fit_twin` finds the numbers of a device that make these frames most likely, with their standard errors;
`optics.compensate` drives the bench with the corrections found on the fitted model. `pip install -e ".[lab]"`
adds what reads TIFF, PNG and HDF5 (`optics.records`).

```python
import equinox as eqx
import jax
import jax.numpy as jnp
import optics
from optics import effects

# The model, and hardware whose modulator pixels differ from it.
believed = optics.FourierProcessor(
    optics.dft(4), optics.PhaseShifting(4), (effects.Gain(jnp.ones((4, 4))),), (effects.Read(0.01),)
)
gain = 1 + 0.1 * jax.random.normal(jax.random.key(0), (4, 4))
hardware = eqx.tree_at(lambda d: d.slm[0].gain, believed, gain)

# Known numbers go to the hardware; its camera gives frames.
numbers = jax.random.normal(jax.random.key(1), (50, 4, 4))
numbers = jnp.concatenate([numbers, numbers[:10]])  # ten drives twice
frames = hardware.expose(believed.prepare(numbers), jax.random.key(2))
# With real hardware: frames = optics.records.read_frames("run/", bits=12)

recording = optics.Recording.of(believed, numbers, frames)
fit = optics.fit_twin(believed, recording, where=lambda d: d.slm[0].gain)
print(fit)  # whether the model fits, and every number with its standard error
corrected = optics.compensate(hardware, fit.device)
```

| step | name |
| --- | --- |
| drives and their frames | `Recording`, `Recording.of` |
| the fit, its result, and the test of its model | `fit_twin`, `Fit`, `LackOfFit` |
| standard errors from slopes | `standard_errors` |
| the inverse of a phase modulator's table | `inverse_table` |
| corrections on the bench | `optics.compensate` |

`print(fit)` says whether the model fits, and what was tested; `fit.is_good` is None where nothing could be.
χ² per degree of freedom is no such test once a level of noise is fitted: it is 1 then for a wrong model too.
Record some drives twice: an error of the model repeats with the drive, noise does not. Errors that another
fitted number imitates stay hidden: a wrong power, for one, in the gains of all pixels. Where the model does
not fit, free more numbers, or correct the noise of its camera. The numbers of your own effects and
measurements can be fitted too: they are leaves of the device.

A few frames do not tell every pixel of a panel. `fit_twin(..., map_pixels=8)` fits each map as a smooth one,
a spline through 8×8 values: illumination, aberrations, the bow of a panel.
"""

from optics.twin._fit import fit_twin as fit_twin
from optics.twin._inverse_table import inverse_table as inverse_table
from optics.twin._lack_of_fit import LackOfFit as LackOfFit
from optics.twin._recording import Recording as Recording
from optics.twin._result import Fit as Fit
from optics.twin._result import standard_errors as standard_errors
