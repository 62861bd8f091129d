"""Names of what arguments may be, where a public function checks its argument itself.

To a type checker they are the types that they stand for. At run time they are `Any`: tests check annotations,
and would refuse a bad argument before the function could do so by name, with what would work.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TypeAlias

    import jax
    import jax.typing
    import numpy as np

    from optics.detect import AbstractMeasurement
    from optics.device import AbstractDevice
    from optics.effects import Effect
    from optics.encode import Encoder
    from optics.mapping import Plan
    from optics.transfer import AbstractTransfer, FourierLens
    from optics.twin import Recording

    # A number, or an array without axes.
    ScalarLike: TypeAlias = float | int | np.ndarray | jax.Array
    # Numbers, in whatever holds them.
    ArrayLike: TypeAlias = ScalarLike | Sequence[Any]
    # A whole number of Python.
    CountLike: TypeAlias = int
    # True or False, known before anything is traced.
    FlagLike: TypeAlias = bool
    # One of a few strings, or any.
    TextLike: TypeAlias = str
    PathLike: TypeAlias = str | Path
    DTypeLike: TypeAlias = jax.typing.DTypeLike
    # Pixels (rows, columns), or one number for both.
    ShapeLike: TypeAlias = int | Sequence[int]
    EffectLike: TypeAlias = Effect
    EffectsLike: TypeAlias = Sequence[Effect]
    DeviceLike: TypeAlias = AbstractDevice | None
    MeasurementLike: TypeAlias = AbstractMeasurement | None
    EncoderLike: TypeAlias = Encoder | None
    RecordingLike: TypeAlias = Recording
    # A part of one kind, which the function that takes it names.
    PartLike: TypeAlias = Any
    LensLike: TypeAlias = FourierLens
    TransferLike: TypeAlias = AbstractTransfer
    FunctionLike: TypeAlias = Callable[..., Any]
    # One key of `jax.random`, or None for no noise.
    KeyLike: TypeAlias = jax.Array | None
    # The name of a gradient rule, or a wrapper.
    GradientLike: TypeAlias = str | Callable[..., Any] | None
    PlanLike: TypeAlias = Plan | None
else:
    ScalarLike = ArrayLike = CountLike = FlagLike = TextLike = PathLike = DTypeLike = Any
    ShapeLike = FunctionLike = KeyLike = Any
    EffectLike = EffectsLike = DeviceLike = MeasurementLike = EncoderLike = RecordingLike = Any
    PartLike = LensLike = TransferLike = GradientLike = PlanLike = Any
