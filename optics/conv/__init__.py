"""Convolutions of any size and stride on a device: the drop-in for `jax.lax.conv_general_dilated`."""

from optics.conv.general import conv_general_dilated as conv_general_dilated
