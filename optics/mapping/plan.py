"""What a mapping costs on a device."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Plan:
    """The planes that a mapping shows to a device.

    Every mapping amounts to convolutions of `x_planes` planes with `w_planes` planes. A Fourier engine transforms each of
    them once and each product back; a correlator or a joint transform correlator takes an exposure for each product.

    Attributes:
        tile: pixels (rows, columns) of every plane.
        x_planes: planes of the input, leading axes included.
        w_planes: planes of the kernel; a kernel is shown again in each turn of a mapping that memory keeps from one turn.
        products: circular convolutions, one for each pair of planes that meet.
    """

    tile: tuple[int, int]
    x_planes: int
    w_planes: int
    products: int

    @property
    def transforms(self) -> int:
        """Optical transforms on a Fourier engine: of the inputs, of the kernels, and one back for each product."""
        return self.x_planes + self.w_planes + self.products
