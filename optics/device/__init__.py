"""Devices: encode, propagate, detect, retrieve. Each kind has one method `convolve`."""

from optics.device._correlator import Correlator as Correlator
from optics.device._correlator import phase_only as phase_only
from optics.device._external import External as External
from optics.device._fourier_processor import FourierProcessor as FourierProcessor
from optics.device._joint_transform import JointTransform as JointTransform
