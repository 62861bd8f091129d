"""Devices: encode, propagate, detect, retrieve. Each kind has one method `convolve`."""

from optics.device.correlator import Correlator as Correlator
from optics.device.correlator import phase_only as phase_only
from optics.device.external import External as External
from optics.device.joint import JointTransform as JointTransform
from optics.device.processor import FourierProcessor as FourierProcessor
