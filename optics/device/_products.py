"""The checks that every product of matrices shares."""

from jaxtyping import Array, Inexact

from optics.device._device import AbstractDevice


def check_matrices(a: Inexact[Array, "..."], b: Inexact[Array, "..."]) -> None:
    """Refuse matrices whose inner sizes or leading axes do not fit together."""
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(
            f"`a` and `b` must agree in the inner axis, (..., m, k) and (..., k, n), got {a.shape} and {b.shape}."
        )
    for own, other in zip(reversed(a.shape[:-2]), reversed(b.shape[:-2]), strict=False):
        if own != other and 1 not in (own, other):
            raise ValueError(f"`a` and `b` must broadcast in their leading axes, got {a.shape} and {b.shape}.")


def check_product(a: Inexact[Array, "..."], b: Inexact[Array, "..."], device: AbstractDevice) -> None:
    """Refuse matrices that do not fit together, or not on the modulators of a device."""
    check_matrices(a, b)
    largest_m, largest_k, largest_n = device.product_shape
    (m, k), n = a.shape[-2:], b.shape[-1]
    is_tall = largest_m is not None and m > largest_m
    if is_tall or k > largest_k or n > largest_n:
        rows = "any number of rows" if largest_m is None else f"{largest_m} rows"
        raise ValueError(
            f"`a` and `b` of {m}×{k} and {k}×{n} are too large for the modulators of "
            f"{type(device).__name__}, which multiply {rows} of {largest_k} numbers by {largest_k}×{largest_n}; "
            "`optics.matmul(a, b, device)` divides them into tiles."
        )
