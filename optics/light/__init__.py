"""Light as it is: line width, sources of finite size, and how coherent they leave it.

    from optics import light
    lamp = light.product(light.line(850e-9, 20e-9), light.chip(850e-9, size=2e-3))
    light.visibility(lamp, separation=(0.0, 100e-6))

`Light` is a sum of mutually incoherent plane waves: `weights`, a `wavelength` and a `tilt` each. Fields of
different modes do not interfere; a camera adds their intensities. Its numbers are leaves of a pytree, so the
width of a line and the size of a source have gradients.

| light | made by |
| --- | --- |
| coherent | `laser` |
| several wavelengths | `channels` |
| a line of finite width, by quadrature | `line`: Gaussian, rectangle, Lorentzian |
| a source of finite size, by quadrature | `disc`, `gaussian`, `chip` |
| both, every wavelength from every direction | `product` |
| both, drawn at once, in fewer modes | `sample` |
| any mutual intensity, as weights and fields | `coherent_modes` |

The size of a source is an angle: its size in the focal plane of the collimator over the focal length. How
coherent the light is, `coherence` and `visibility` tell: between two points of the modulator, and behind a
delay. Rules of thumb, at a visibility of one half:

| light | half visible at |
| --- | --- |
| Gaussian line of width Δλ | a path difference of 0.44 λ² / Δλ |
| Lorentzian line of width Δλ | 0.22 λ² / Δλ |
| disc of angular radius α | a separation of 0.35 λ / α |
| Gaussian source of σ | 0.19 λ / σ |
| chip of angular side s | 0.60 λ / s |
"""

from optics.light._coherence import coherence as coherence
from optics.light._coherence import visibility as visibility
from optics.light._coherent_modes import coherent_modes as coherent_modes
from optics.light._light import Light as Light
from optics.light._light import product as product
from optics.light._sample import sample as sample
from optics.light._sources import chip as chip
from optics.light._sources import disc as disc
from optics.light._sources import gaussian as gaussian
from optics.light._spectra import channels as channels
from optics.light._spectra import laser as laser
from optics.light._spectra import line as line
