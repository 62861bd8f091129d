"""Computations that run as one compiled program, also when they are called outside `jax.jit`."""

import functools

import equinox as eqx

# Called with numbers, a function so decorated compiles once for each shape, and other numbers, of the device
# too, do not compile it again: one program in place of some hundred, one for each operation. Inside another
# program (`jit`, `grad`, `vmap`, `shard_map`) the call is inlined. Arguments without arrays are constants of
# the program, and must be hashable: check them before.
as_one_program = functools.partial(eqx.filter_jit, inline=True)
