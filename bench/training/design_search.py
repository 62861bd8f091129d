"""The search of `bench.training.design`: free numbers of a device, what a design scores, and the descent.

A design is a dictionary of numbers by name. An evaluation is one pass of the rows, with all of their draws,
through the network on a device of these numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import optics
from nets.data import make_batch
from nets.run import TrainedNetwork, loss_sums
from optics import AbstractDevice, accounting, effects

# A gradient costs about two evaluations besides the evaluation that it belongs to.
GRADIENT_EVALUATIONS = 3
ELECTRON = 1.602176634e-19  # C
RESPONSIVITY = 1.0  # A/W, of the receivers of engine11
# Of Adam, as a share of each range; the second once bits are fixed.
RATE, LAST_RATE = 0.06, 0.02

Design = dict[str, float]


class Steps(NamedTuple):
    """Numbers of gradients: (of all numbers, of those of the converters) at the first weight and at each
    later one, and `last` after bits are rounded.
    """

    first: tuple[int, int] = (8, 14)
    later: tuple[int, int] = (3, 10)
    last: int = 3


@dataclass(frozen=True)
class Range:
    """What a free number may be.

    Attributes:
        low, high: in the unit of the number.
        even: steps of equal size, not of equal ratio.
        whole: of a device that can be built.
    """

    low: float
    high: float
    even: bool = False
    whole: bool = False

    def value_at(self, share: Any) -> Any:
        """The number at a share of the range, from 0 to 1."""
        if self.even:
            return self.low + share * (self.high - self.low)
        return self.low * (self.high / self.low) ** share

    def share_of(self, value: float) -> float:
        """The share of the range at which a number lies, at its ends for numbers beyond."""
        if self.even:
            share = (value - self.low) / (self.high - self.low)
        else:
            share = np.log(value / self.low) / np.log(self.high / self.low)
        return float(np.clip(share, 0, 1))


# Free numbers of an engine of coherent receivers; W of the local oscillator for each number that is read.
RANGES = {
    "photons": Range(100.0, 1e6),
    "oscillator_power": Range(2e-6, 1e-3),
    "dac_bits": Range(2.0, 8.0, even=True, whole=True),
    "adc_bits": Range(2.0, 10.0, even=True, whole=True),
    "fill": Range(0.2, 1.0),
    "pupil": Range(1.0, 3.0),
    "focal": Range(0.97, 1.03),
    "pitch": Range(20e-6, 500e-6),
}

# Those of the lens, which is compiled anew for each of their values.
OF_OPTICS = ("fill", "pupil", "focal", "pitch")


def parse_ranges(free: Sequence[str], texts: Sequence[str]) -> dict[str, Range]:
    """The ranges of the free numbers.

    Arguments:
        free: their names.
        texts: ranges other than those of `RANGES`, as NAME=LOW,HIGH.

    Raises:
        ValueError: an unknown name, the same name twice, none at all, or a range that is empty or beyond what
            the number may be.
    """
    known = ", ".join(RANGES)
    if not free:
        raise ValueError(f"`free` must name at least one number, of {known}; got none.")
    for name in free:
        if name not in RANGES or list(free).count(name) > 1:
            raise ValueError(f"`free` must be different numbers of {known}; got {name!r}.")
    ranges = {name: RANGES[name] for name in free}
    for text in texts:
        name, _, bounds = text.partition("=")
        try:
            low, high = map(float, bounds.split(","))
        except ValueError:
            raise ValueError(
                f"`range` must be NAME=LOW,HIGH, such as photons=100,1e5; got {text!r}."
            ) from None
        if name not in ranges:
            raise ValueError(f"`range` {text} is of no free number; `free` has {', '.join(ranges)}.")
        widest = RANGES[name]
        if not widest.low <= low < high <= widest.high:
            raise ValueError(
                f"`range` {text} must rise within {widest.low:g} to {widest.high:g}, such as "
                f"{name}={widest.low:g},{widest.high:g}."
            )
        ranges[name] = Range(low, high, widest.even, widest.whole)
    return ranges


class Problem:
    """A trained network, a device with free numbers, and rows to score designs on.

    Arguments:
        network: trained.
        device: preset with coherent receivers.
        ranges: of the free numbers.
        draws: of the noise, for each row.
        seed: of the draws, which are the same for every design.

    Raises:
        ValueError: another kind of device, or one without one of the numbers.
    """

    def __init__(self, network: TrainedNetwork, device: str, ranges: dict[str, Range], draws: int, seed: int):
        self.network, self.name, self.ranges = network, device, ranges
        self.key = jax.random.key(seed)
        self.keys = jax.random.split(jax.random.fold_in(self.key, 1), draws)
        self.evaluations = 0
        self.own = read_numbers(device, ranges)
        exact = optics.presets.load(device, level="ideal")
        self.photons, self.read = (float(part) for part in (exact.camera[0].photons, exact.camera[1].sigma))
        self.costs = accounting.hardware(optics.presets.hardware(device))
        self.light = accounting.mean_light(optics.presets.load(device), self.key)
        self.batches = {name: self._batch(name) for name in ("validation", "test")}
        graph, self.state = nnx.split(network.model)
        rows = self.batches["validation"]
        self.images = len(rows[1])
        self.counts = accounting.count(
            lambda device, key: loss_sums(nnx.merge(graph, self.state), rows, device, key)[0], exact
        )

        def score(device, batch, keys):
            def sums(key):
                return loss_sums(nnx.merge(graph, self.state), batch, device, key)[0]

            total = jax.lax.map(sums, keys).sum(0)
            return total[0] / total[2], total[1] / total[2]

        def objective(shares, weight, batch, keys, optics_of):
            numbers = self.numbers_at(shares)
            device = self.load(numbers) if optics_of is None else self.with_converters(optics_of, numbers)
            device = soften(device)
            loss, accuracy = score(device, batch, keys)
            joules = self.joules(numbers, accounting.mean_light(device, self.key))
            return loss + weight * jnp.log(joules), (loss, accuracy, joules)

        self.score = jax.jit(score)
        self.mean_light = jax.jit(accounting.mean_light)
        self.gradient = jax.jit(jax.value_and_grad(objective, has_aux=True))

    def _batch(self, split: str) -> tuple:
        rows = self.network.split(split)
        count = len(rows.labels)
        return jax.tree.map(jnp.asarray, make_batch(rows, np.arange(count), count))

    def load(self, numbers: Design, **options: Any) -> AbstractDevice:
        """The device of a design; `options` are those of `optics.presets.load`."""
        return optics.presets.load(self.name, **self.overrides(numbers), **options)

    def overrides(self, numbers: Design) -> dict[str, Any]:
        """The parameters of the preset.

        Both noises of a receiver follow its light: S photons of signal at full scale beside L of a local
        oscillator. Its shot noise is that of both, and the noise of its amplifier stays while √(S L) moves.

            photons -> S / (1 + S / L),    read -> read · √(S₀ L₀ / (S L))

        Source: Kikuchi (2016), section II.
        """
        numbers = dict(numbers)
        photons = numbers.get("photons", self.photons)
        oscillator = numbers.pop("oscillator_power", self.costs["oscillator_power"].value)
        # Both quadratures of a receiver share an oscillator.
        signal = photons * ELECTRON / (RESPONSIVITY * self.costs["exposure_time"].value)
        numbers["photons"] = photons / (1 + signal / (2 * oscillator))
        light = photons / self.photons * oscillator / self.costs["oscillator_power"].value
        numbers["read"] = self.read / light**0.5
        return numbers

    def joules(self, numbers: Design, light: Any) -> Any:
        """Joules of an image; `light` is the `mean_light` of the device."""
        oscillator = self.costs["oscillator_power"].value
        joules = accounting.energy(
            self.counts,
            self.costs,
            numbers["dac_bits"],
            numbers["adc_bits"],
            laser=numbers["photons"] / self.photons * light / self.light,
            oscillator=numbers["oscillator_power"] / oscillator,
        )
        return joules / self.images

    def evaluate(self, numbers: Design, device: AbstractDevice | None = None) -> Design:
        """The design with its joules, and its loss and accuracy on the rows held out: one evaluation.

        Arguments:
            numbers: of a device that can be built.
            device: with the optics of the design, where they are compiled already.
        """
        device = self.load(numbers) if device is None else self.with_converters(device, numbers)
        self.evaluations += 1
        loss, accuracy = self.score(device, self.batches["validation"], self.keys)
        joules = self.joules(numbers, self.mean_light(device, self.key))
        return numbers | {"joules": float(joules), "loss": float(loss), "accuracy": float(accuracy)}

    def with_converters(self, device: AbstractDevice, numbers: Design) -> AbstractDevice:
        """The optics of a device with the converters and receivers of a design."""
        exact = self.load(numbers, level="ideal")
        return device.with_stages(slm=exact.slm, camera=exact.camera)

    def test(self, device: AbstractDevice | None, draws: int) -> tuple[float, float]:
        """Loss and accuracy on the test rows, with other draws than those of the search."""
        keys = jax.random.split(jax.random.fold_in(self.key, 2), draws)
        loss, accuracy = self.score(device, self.batches["test"], keys)
        return float(loss), float(accuracy)

    def descend(
        self,
        shares: Design,
        weight: float,
        steps: int,
        report: Callable = lambda: None,
        device: AbstractDevice | None = None,
        fixed: Sequence[str] = (),
        rate: float = RATE,
    ) -> Design:
        """Adam on loss + weight · ln(joules), rounding as noise, within the ranges.

        Arguments:
            shares: of the free numbers, where they start.
            weight: of the joules.
            steps: one gradient each.
            report: called after each of them.
            device: with the optics of the design, whose numbers stay then; their gradient is what takes time.
            fixed: free numbers that stay.
            rate: of Adam, as a share of each range.

        Returns:
            the shares after the last step.
        """
        moves = {name: float(not (device is not None and name in OF_OPTICS)) for name in shares}
        moves |= dict.fromkeys(fixed, 0.0)
        # Arrays from the start: a number of Python's has a type of its own, and would compile once more.
        shares, moves = (
            jax.tree.map(lambda value: jnp.asarray(value, float), part) for part in (shares, moves)
        )
        optimizer = optax.adam(optax.cosine_decay_schedule(rate, max(steps, 1), alpha=0.1))
        state = optimizer.init(shares)
        for _ in range(steps):
            batch = self.batches["validation"]
            slope = self.gradient(shares, jnp.asarray(weight), batch, self.keys, device)[1]
            self.evaluations += GRADIENT_EVALUATIONS
            updates, state = optimizer.update(slope, state)
            shares = {
                name: jnp.clip(share + moves[name] * updates[name], 0, 1) for name, share in shares.items()
            }
            report()
        return shares

    def numbers_at(self, shares: Design) -> Design:
        """All numbers at shares of the ranges of those that are free; the others are those of the preset."""
        return self.own | {name: self.ranges[name].value_at(share) for name, share in shares.items()}


def read_numbers(device: str, names: Sequence[str]) -> Design:
    """The numbers that a preset has of its own; the oscillator's power is that of the ledger.

    Raises:
        ValueError: a device without coherent receivers, or without one of the numbers.
    """
    if device not in optics.presets.names():
        raise ValueError(
            f"`device` must be a preset, one of {', '.join(optics.presets.names())}; got {device!r}."
        )
    exact = optics.presets.load(device, level="ideal")
    has_receivers = isinstance(exact, optics.FourierProcessor) and len(exact.camera) > 1
    if not has_receivers or not isinstance(exact.measurement, optics.Coherent):
        raise ValueError(
            f"`device` {device} has no coherent receivers, whose numbers these are; set --device to engine11."
        )
    lens = optics.presets.load(device, level="wave").transfer
    costs = accounting.hardware(optics.presets.hardware(device))
    matched = max(lens.pixels) * lens.pitch**2 / lens.wavelength
    own = {
        "photons": exact.camera[0].photons,
        "oscillator_power": costs["oscillator_power"].value,
        "dac_bits": exact.slm[0].bits,
        "adc_bits": exact.camera[-1].bits,
        "fill": lens.fill,
        "pupil": lens.pupil_radius / (max(lens.pixels) * lens.pitch),
        "focal": lens.focal_length / matched,
        "pitch": lens.pitch,
    }
    return {name: float(value) for name, value in own.items()}


def soften(device: AbstractDevice) -> AbstractDevice:
    """The device with the rounding of its converters as noise."""
    return device.with_stages(**{stage.name: effects.soften_bits(stage.effects) for stage in device.stages()})


def search(
    problem: Problem, weights: Sequence[float], steps: Steps, report: Callable = lambda: None
) -> list[Design]:
    """Designs for weights of the joules, and those tried on the way: bits relaxed, fixed, the rest again.

    Each weight starts where the one before it ended. All numbers descend, then those of the converters on.
    Bits are rounded up, down, and down once more, as noise does more harm than rounding where bits are few;
    all combinations are evaluated with true converters, and the other numbers of the converters descend once
    more at the best of them.

    Arguments:
        problem: its `own` numbers are the start.
        weights: in rising order.
        steps: numbers of gradients.
        report: called after each gradient.

    Returns:
        designs with the "weight" that they belong to, and "stage": "rounded" or "final".
    """
    shares = {name: limits.share_of(problem.own[name]) for name, limits in problem.ranges.items()}
    bits = [name for name, limits in problem.ranges.items() if limits.whole]
    designs = []
    for i, weight in enumerate(weights):
        of_all, of_converters = steps.first if i == 0 else steps.later
        shares = problem.descend(shares, weight, of_all, report)
        device = problem.load(round_bits(as_floats(problem.numbers_at(shares))))
        shares = problem.descend(shares, weight, of_converters, report, device)
        numbers = as_floats(problem.numbers_at(shares))
        rounded = [problem.evaluate(near, device) for near in round_each_way(numbers, problem.ranges)]
        best = min(rounded, key=lambda design: design["loss"] + weight * np.log(design["joules"]))
        designs += [design | {"weight": weight, "stage": "rounded"} for design in rounded]
        on_levels = shares | {name: problem.ranges[name].share_of(best[name]) for name in bits}
        on_levels = problem.descend(on_levels, weight, steps.last, report, device, bits, LAST_RATE)
        last = problem.evaluate(round_bits(as_floats(problem.numbers_at(on_levels))), device)
        designs.append(last | {"weight": weight, "stage": "final"})
    return designs


def as_floats(numbers: Design) -> Design:
    """The numbers as Python's."""
    return {name: float(value) for name, value in numbers.items()}


def round_bits(numbers: Design) -> Design:
    """The numbers with whole bits, of a device that can be built."""
    return {name: float(round(value)) if RANGES[name].whole else value for name, value in numbers.items()}


def round_each_way(numbers: Design, ranges: dict[str, Range]) -> list[Design]:
    """The designs with every whole number of the ranges rounded up, down, and down once more."""
    designs = [dict(numbers)]
    for name, limits in ranges.items():
        if limits.whole:
            down = np.floor(numbers[name])
            values = sorted({float(max(v, limits.low)) for v in (down - 1, down, np.ceil(numbers[name]))})
            designs = [design | {name: value} for design in designs for value in values]
    return designs


def front(designs: Sequence[Design], accuracy: str = "accuracy") -> list[Design]:
    """The designs that no other beats in both joules and accuracy, by rising joules."""
    best, chosen = -1.0, []
    for design in sorted(designs, key=lambda design: (design["joules"], -design[accuracy])):
        if design[accuracy] > best:
            best = design[accuracy]
            chosen.append(design)
    return chosen


def hypervolume(designs: Sequence[Design], joules: float, floor: float, accuracy: str = "accuracy") -> float:
    """The area below a front in decades of joules times accuracy, up to `joules` and above `floor`."""
    chosen = [design for design in front(designs, accuracy) if design["joules"] < joules]
    edges = [*(np.log10(design["joules"]) for design in chosen), np.log10(joules)]
    return float(
        sum(
            (right - left) * max(design[accuracy] - floor, 0.0)
            for design, left, right in zip(chosen, edges[:-1], edges[1:], strict=True)
        )
    )
