"""Design by gradient: numbers of a device that trade the accuracy of a trained network for joules an image.

A network is trained through the noise of the device, and then stays. Free numbers of the device descend
together on loss + weight · ln(joules), with rounding as noise; bits are then fixed and the design is
evaluated with true converters. A grid over five of the numbers is the search that it is compared with. Both
score designs on the rows that were held out of training; the fronts that they find are compared on the test
rows, with other draws.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from tqdm.auto import tqdm

import nets
from bench import output, plots
from bench.config import Design as Options
from bench.output import Rows
from bench.training.design_search import (
    OF_OPTICS,
    Design,
    Problem,
    Steps,
    front,
    hypervolume,
    parse_ranges,
    read_numbers,
    search,
)
from nets.config import Config
from nets.run import TrainedNetwork

# Weights of the joules: loss for a factor e of energy.
WEIGHTS = (0.005, 0.06, 0.6, 3.0)
GRID = {
    "fill": (0.5, 0.7, 1.0),
    "photons": (3e2, 1e3, 3e3, 1e4, 3e4, 1e5),
    "oscillator_power": (5e-6, 1.6e-5, 5e-5, 1.6e-4, 5e-4),
    "dac_bits": (2.0, 3.0, 4.0, 5.0, 6.0, 8.0),
    "adc_bits": (3.0, 4.0, 5.0, 6.0, 8.0, 10.0),
}
DRAWS, TEST_DRAWS = 2, 4
# The light and the converters that the network is trained through.
TRAINING = ("photons=1000", "dac_bits=4", "adc_bits=6")
EPOCHS = 40
WITHIN = 0.01  # of the exact accuracy, for the design that is chosen
LEVELS = (0.80, 0.90, 0.95, 0.97, 0.98)
COLUMNS = {"row": "", "by": "", "weight": ".3g", "joules": ".3g", "accuracy": ".2%", "test_accuracy": ".2%"}
COLUMNS |= {"photons": ".3g", "oscillator_power": ".2g", "dac_bits": ".0f", "adc_bits": ".0f"}
COLUMNS |= {"fill": ".2f", "pupil": ".2f", "focal": ".3f"}
Report = Callable[[], Any]


def main(options: Options) -> Rows:
    """Train, search, compare and draw units; returns the rows.

    Raises:
        ValueError: an unknown device or number, an empty range, a network that does not fit the device, or a
            folder that cannot be written to.
    """
    ranges = parse_ranges(options.free, options.range)
    read_numbers(options.device, ranges)
    output.check_folder(options.out)
    network = train(options)
    problem = Problem(network, options.device, ranges, 1 if options.quick else DRAWS, options.seed)
    rows: Rows = [{"row": "exact", **measure(problem, None, options)}]
    own = problem.evaluate(problem.own)
    rows.append({"row": "own numbers", **own, **measure(problem, problem.own, options)})
    problem.evaluations = 0
    weights, steps = (WEIGHTS[1:4:2], Steps((0, 2), (0, 1), 1)) if options.quick else (WEIGHTS, Steps())
    with tqdm(desc="descending", unit=" gradients", leave=False) as progress:
        designs = search(problem, weights, steps, progress.update)
    spent = {"gradient": problem.evaluations}
    rows += [{"row": "design", "by": "gradient"} | design for design in designs]
    problem.evaluations = 0
    points = evaluate_grid(problem, options.quick)
    spent["grid"] = problem.evaluations
    rows += [{"row": "grid"} | point for point in thin(points)]
    for by, tried in (("gradient", designs), ("grid", points)):
        for design in front(tried):
            rows.append({"row": "front", "by": by} | design | measure(problem, design, options))
    rows += compare(rows, spent)
    rows += draw_units(problem, choose(rows), options)
    print(output.table([row for row in rows if row["row"] in ("exact", "own numbers", "front")], COLUMNS))
    for row in rows:
        if row["row"] in ("comparison", "units"):
            print(", ".join(f"{key} {value}" for key, value in row.items()))
    output.write(options.out, "design", rows, options, plots.design(rows, options.device))
    return rows


def train(options: Options) -> TrainedNetwork:
    """The network of the run that was named, or one trained through the noise of the device.

    Raises:
        ValueError: a folder without a finished run.
    """
    if options.network is not None:
        if nets.run.RunFolder(options.network).result() is None:
            raise ValueError(
                f"`network` {options.network} holds no finished run; leave it out, and one is trained."
            )
        return nets.run.load(options.network)
    folder = options.out / f"design-network-{options.seed}{'-quick' if options.quick else ''}"
    config = Config(
        data="digits",
        model="conv2d",
        device=options.device,
        overrides=TRAINING,
        heads=1 if options.quick else 2,
        epochs=1 if options.quick else EPOCHS,
        seed=options.seed,
        progress=False,
        out=folder,
    )
    nets.fit(config)
    return nets.run.load(folder)


def evaluate_grid(problem: Problem, quick: bool) -> list[Design]:
    """All combinations of the values of `GRID`, the other numbers at those of the preset: one evaluation
    each.
    """
    grid = {name: values[::3] if quick else values for name, values in GRID.items()}
    points, converters = [], {name: grid[name] for name in grid if name not in OF_OPTICS}
    count = int(np.prod([len(values) for values in grid.values()]))
    with tqdm(total=count, desc="grid", unit=" devices", leave=False) as progress:
        for fill in grid["fill"]:
            # Devices of the same optics share its compilation.
            device = problem.load(problem.own | {"fill": fill})
            for values in itertools.product(*converters.values()):
                numbers = problem.own | {"fill": fill} | dict(zip(converters, values, strict=True))
                points.append(problem.evaluate(numbers, device))
                progress.update()
    return points


def thin(points: Sequence[Design], bins: int = 50, each: int = 5) -> list[dict[str, float]]:
    """Joules and accuracy of the most accurate points in bins of equal ratio of the joules, for a plot."""
    logs = np.log([point["joules"] for point in points])
    places = np.minimum(bins * (logs - logs.min()) / max(np.ptp(logs), 1e-9), bins - 1).astype(int)
    chosen = []
    for place in np.unique(places):
        inside = [points[i] for i in np.flatnonzero(places == place)]
        chosen += sorted(inside, key=lambda point: -point["accuracy"])[:each]
    return [{name: float(f"{point[name]:.4g}") for name in ("joules", "accuracy")} for point in chosen]


def measure(problem: Problem, design: Design | None, options: Options) -> dict[str, float]:
    """Loss and accuracy on the test rows, and of the exact network also on those held out."""
    draws = 1 if options.quick or design is None else TEST_DRAWS
    device = None if design is None else problem.load({name: design[name] for name in problem.own})
    loss, accuracy = problem.test(device, draws)
    result = {"test_loss": loss, "test_accuracy": accuracy}
    if design is None:
        result["accuracy"] = float(problem.score(None, problem.batches["validation"], problem.keys)[1])
    return result


def compare(rows: Rows, spent: dict[str, int]) -> Rows:
    """Both fronts on the test rows: the area below each, and the least joules at levels of accuracy."""
    fronts = {by: output.select(rows, row="front", by=by) for by in spent}
    most = max(design["joules"] for found in fronts.values() for design in found)
    areas = {by: hypervolume(found, 1.01 * most, LEVELS[0], "test_accuracy") for by, found in fronts.items()}
    comparison: dict[str, Any] = {
        "row": "comparison",
        "evaluations_of_gradient": spent["gradient"],
        "evaluations_of_grid": spent["grid"],
        "times_fewer": spent["grid"] / spent["gradient"],
        "area_of_gradient": areas["gradient"],
        "area_of_grid": areas["grid"],
    }
    levels = []
    for level in LEVELS:
        least = {
            by: min((d["joules"] for d in found if d["test_accuracy"] >= level), default=None)
            for by, found in fronts.items()
        }
        both = None not in least.values()
        levels.append(
            {
                "row": "level",
                "test_accuracy": level,
                "joules_of_gradient": least["gradient"],
                "joules_of_grid": least["grid"],
                "ratio": least["gradient"] / least["grid"] if both else None,
            }
        )
    return [comparison, *levels]


def choose(rows: Rows) -> Design:
    """The design of least joules within a point of the exact accuracy on the rows held out, or else the most
    accurate one.
    """
    exact = next(row["accuracy"] for row in rows if row["row"] == "exact")
    found = output.select(rows, row="front", by="gradient")
    enough = [design for design in found if design["accuracy"] >= exact - WITHIN]
    if not enough:
        return max(found, key=lambda design: design["accuracy"])
    return min(enough, key=lambda design: design["joules"])


def draw_units(problem: Problem, chosen: Design, options: Options) -> Rows:
    """Test accuracies of units of the chosen design, and of the preset as it is, and their spread."""
    count = 2 if options.quick else options.units
    keys = jax.random.split(jax.random.fold_in(jax.random.key(options.seed), 3), count)
    rows: Rows = []
    for name, design in (("chosen", chosen), ("own numbers", problem.own)):
        numbers = {key: design[key] for key in problem.own}
        units = jax.jit(jax.vmap(lambda key, numbers=numbers: problem.load(numbers, unit=key)))(keys)
        accuracies = [
            problem.test(jax.tree.map(lambda leaf, i=i: leaf[i], units), 1 if options.quick else 2)[1]
            for i in range(count)
        ]
        row = {"row": "units", "design": name, **numbers}
        row |= {key: design[key] for key in ("joules", "accuracy", "test_accuracy") if key in design}
        rows.append(
            row
            | {
                "units": count,
                "mean": float(np.mean(accuracies)),
                "fifth_percentile": float(np.percentile(accuracies, 5)),
                "lowest": min(accuracies),
                "accuracies": accuracies,
            }
        )
    return rows
