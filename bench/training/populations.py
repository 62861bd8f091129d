"""Accuracy over physical units at very little light, and of a device that drifts.

Networks for digits are trained at 3 photoelectrons and 2-bit converters and tested on drawn units that none
of them was trained on. Another one, trained at the preset's own light, is tested while the phases of its
modulator wander and its light fades, as it is and after a recalibration.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.stats
from flax import nnx
from tqdm.auto import tqdm

import nets
import optics
from bench import output, plots
from bench.config import Populations
from bench.output import Rows
from bench.simulator.timing import interleaved_times
from bench.training.resumable import resumable
from nets.config import Config, resolve
from nets.run import Objective, TrainedNetwork, build_device, build_population, compile_steps
from optics.device import AbstractDevice

FAINT = ("photons=3", "adc_bits=2", "dac_bits=2")
# As python -m nets.train is given them, beside --set of the above.
MEASURED: dict[str, Any] = {"norm": "pre", "layer_scale": "measured"}
TRAININGS: dict[str, dict[str, Any]] = {
    "ordinary": {},
    "pre-norm": {"norm": "pre"},
    "measured gains": MEASURED,
    "measured gains, 32 units": {**MEASURED, "units": 32, "units_per_step": 4},
}
# Steps that are timed beside; the objectives over units compute the whole batch on each.
TIMED = {
    **TRAININGS,
    "measured gains, quantile": {**TRAININGS["measured gains, 32 units"], "objective": "quantile"},
}
# Of the modulator that drifts: √(D t) is 0.6 rad after an hour, and a third of the light is gone.
DIFFUSION, DURATION, FADING = 1e-4, 3600.0, -5e-5
HOURS, DRIFTING_UNITS = (0.0, 0.25, 0.5, 1.0), 2
# Tolerances that units differ widely within, at the preset's own light, and how networks are trained there.
WIDE, WIDELY_TESTED = ("amplitude_error=0.3", "phase_error=0.5", "gain_error=0.2"), 32
ON_WIDE: dict[str, dict[str, Any]] = {
    "wide tolerances, nominal device": {},
    "wide tolerances, 32 units": {"units": 32, "units_per_step": 4},
}
# Averages at the same exposures: their number, the light of a trained network, images of a batch, draws.
AVERAGE, LIGHTS, EXPOSED, AVERAGE_DRAWS = 4, (30.0, 300.0), 128, 8
STATES = ("as it is", "norms and gains refitted", "device calibrated")
REPEATS, PLANES = 25, 64
COLUMNS = {
    "row": "",
    "training": "",
    "state": "",
    "hours": ".2f",
    "units": "",
    "mean": ".2%",
    "fifth": ".2%",
    "low": ".2%",
    "high": ".2%",
    "without_light": ".2%",
    "ratio": ".2f",
    "photons": ".3g",
    "once": ".2%",
    "alike": ".2%",
    "chosen": ".2%",
    "noise": ".3g",
    "spread_of_units": ".3g",
}


def main(options: Populations) -> Rows:
    """Train, test over units, time the steps, let a device drift; returns the rows.

    Networks are kept in the folder, so that a stopped measurement can be continued.

    Raises:
        ValueError: a folder that cannot be written to.
    """
    output.check_folder(options.out)
    unfinished, result_of = resumable(options.out, "populations", asdict(options) | {"out": ""})
    rows: Rows = [result_of({"row": "origin"}, partial(compare_noise_with_units, options))]
    rows += measure_accuracies(options, result_of)
    rows += [
        result_of({"row": "step", "training": name}, partial(time_step, name, options)) for name in TIMED
    ]
    rows += measure_drift(options, result_of)
    rows += measure_averages(options, result_of)
    rows += measure_tolerances(options, result_of)
    print(output.table([row for row in rows if "unit" not in row], COLUMNS))
    output.write(options.out, "populations", rows, options, plots.populations(rows))
    unfinished.unlink()
    return rows


def configure(name: str, seed: int, options: Populations, **changes: Any) -> Config:
    """The run of one training."""
    quick = {"epochs": 1, "max_examples": 64} if options.quick else {}
    # A unit takes longer to draw than such a network to train.
    quick |= {"units": 4} if options.quick and "units" in changes else {}
    folder = f"{name.replace(',', '').replace(' ', '-')}-{seed}"
    out = options.out / "populations" / folder
    return Config(**{"overrides": FAINT, "seed": seed, "progress": False, "out": out, **changes, **quick})


def train(config: Config) -> TrainedNetwork:
    """The network of a run, trained now or earlier."""
    nets.fit(config)
    return nets.run.load(config.out)


def compare_noise_with_units(options: Populations) -> dict[str, float]:
    """How far one convolution is off by the noise of a draw, and how far units are from each other without
    noise, over the exact result.
    """
    of_x, of_w, of_noise, of_units = jax.random.split(jax.random.key(options.seed), 4)
    x, w = (jax.random.normal(key, (PLANES, 11, 11)) for key in (of_x, of_w))
    exact = optics.convolve(x, w)
    faint = optics.presets.load("engine11", photons=3, adc_bits=2, dac_bits=2)
    draws = jnp.stack([optics.convolve(x, w, faint, key) for key in jax.random.split(of_noise, 16)])
    quiet = Config(overrides=("photons=1e9", "read=0", "adc_bits=16", "dac_bits=16"), out=Path("unused"))
    units = build_population(resolve(quiet), jax.random.split(of_units, 2 if options.quick else 8))
    results = jax.lax.map(lambda unit: optics.convolve(x, w, unit), units)
    scale = jnp.sqrt(jnp.mean(exact**2))

    def spread(a):
        return float(jnp.sqrt(jnp.mean(jnp.var(a, axis=0, ddof=1))) / scale)

    return {"noise": spread(draws), "spread_of_units": spread(results)}


def measure_accuracies(options: Populations, result_of: Callable) -> Rows:
    """The accuracy of every network on every unit; of each training the mean and the fifth percentile."""
    count, seeds = (4, 1) if options.quick else (options.units, options.seeds)
    # Those that python -m nets.evaluate --units draws; networks are trained on units of other keys.
    keys = jax.vmap(jax.random.key)(jnp.arange(count))
    units = build_population(resolve(configure("ordinary", 0, options)), keys)
    rows: Rows = []
    for name, changes in tqdm(TRAININGS.items(), desc="trainings", leave=False):
        accuracies = []
        for seed in range(options.seed, options.seed + seeds):
            case = {"row": "network", "training": name, "seed": seed}
            measure = partial(test, configure(name, seed, options, **changes), units, count)
            found = result_of(case, measure)
            accuracies += found["accuracies"]
            rows += [
                {**case, "row": "unit", "unit": unit, "accuracy": accuracy}
                for unit, accuracy in enumerate(found["accuracies"])
            ]
            rows.append({**case, "without_light": found["without_light"]})
        rows.append(
            {"row": "summary", "training": name, "units": count, "networks": seeds, **summarize(accuracies)}
        )
    return rows


def measure_tolerances(options: Populations, result_of: Callable) -> Rows:
    """Accuracy over units that differ widely, after training on the nominal device and on other units."""
    count = 2 if options.quick else WIDELY_TESTED

    def measure(name, changes):
        config = configure(name, options.seed, options, overrides=WIDE, **changes)
        keys = jax.vmap(jax.random.key)(jnp.arange(count))
        return test(
            config, build_population(resolve(replace(config, units=None, units_per_step=1)), keys), count
        )

    rows: Rows = []
    for name, changes in ON_WIDE.items():
        case = {"row": "tolerances", "training": name, "units": count}
        found = result_of(case, partial(measure, name, changes))
        rows.append(case | summarize(found["accuracies"]) | {"without_light": found["without_light"]})
    return rows


def test(config: Config, units: AbstractDevice, count: int) -> dict[str, Any]:
    """Test accuracies on units, each with noise of its own, and with the light of the attention shut off."""
    network = train(config)
    accuracies = []
    for i in range(count):
        unit = jax.tree.map(lambda leaf, i=i: leaf[i], units)
        accuracies.append(network.evaluate(unit, seed=i)[0]["accuracy"])
    return {"accuracies": accuracies, "without_light": without_light(network)}


def without_light(network: TrainedNetwork) -> float:
    """Test accuracy with kernels of 0, which the attention then adds nothing with."""
    model = nnx.clone(network.model)
    for block in model.blocks:
        block.attention.kernels[...] = jnp.zeros_like(block.attention.kernels[...])
    return TrainedNetwork(network.config, network.dataset, model).evaluate(None, seed=0)[0]["accuracy"]


def summarize(accuracies: list[float]) -> dict[str, float]:
    """Mean and fifth percentile, with the interval of the latter by order statistics at 95 %.

    The number of values below the fifth percentile is binomial, which gives the ranks.
    """
    values = np.sort(accuracies)
    low, high = scipy.stats.binom.ppf([0.025, 0.975], len(values), 0.05).astype(int)
    return {
        "mean": float(values.mean()),
        "fifth": float(np.quantile(values, 0.05)),
        "low": float(values[max(low - 1, 0)]),
        "high": float(values[min(high, len(values) - 1)]),
    }


def time_step(name: str, options: Populations) -> dict[str, float]:
    """Milliseconds of a training step, and their ratio to those of an ordinary one, called in turn."""
    first, second = (make_step(configure(each, 0, options, **TIMED[each])) for each in (name, "ordinary"))
    repeats = 2 if options.quick else REPEATS
    of_step, of_ordinary = interleaved_times(*first, *second, repeats)
    ratios = np.divide(of_step, of_ordinary)
    return {
        "milliseconds": float(np.median(of_step)),
        "ratio": float(np.median(ratios)),
        "first_quartile": float(np.quantile(ratios, 0.25)),
        "third_quartile": float(np.quantile(ratios, 0.75)),
    }


def make_step(config: Config) -> tuple[Callable, tuple]:
    """The training step of a run, and arguments for it."""
    config = resolve(config)
    dataset = nets.data.load(config)
    model = nets.run.build_model(config, dataset, nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(config.learning_rate), wrt=nnx.Param)
    device, over_units = build_device(config), None
    if config.units is not None:
        # As many as in training, of which the numbers do not matter here.
        device = jax.tree.map(lambda leaf: jnp.stack([leaf] * config.units), device)
        over_units = Objective(config.units_per_step, config.objective, config.level or 0.0)
    step, _ = compile_steps(model, optimizer, over_units=over_units)
    batch = nets.data.make_batch(dataset.train, np.arange(config.batch_size), config.batch_size)
    return step, (nnx.state((model, optimizer)), batch, device, jax.random.key(0), np.uint32(0))


def measure_drift(options: Populations, result_of: Callable) -> Rows:
    """Accuracy of a network trained at the preset's own light while its device drifts, mean over units."""
    config = configure("own light", options.seed, options, overrides=(), **MEASURED)
    hours, count = (HOURS[::3], 1) if options.quick else (HOURS, DRIFTING_UNITS)
    rows: Rows = []
    for unit in range(count):
        case = {"row": "drift of a unit", "unit": unit, "hours": list(hours)}
        found = result_of(case, partial(follow, config, unit, hours))
        rows += [
            {"row": "drift of a unit", "state": state, "hours": hour, "unit": unit, "accuracy": accuracy}
            for state in STATES
            for hour, accuracy in zip(hours, found[state], strict=True)
        ]
    for state in STATES:
        for hour in hours:
            chosen = output.select(rows, state=state, hours=hour, row="drift of a unit")
            mean = float(np.mean([row["accuracy"] for row in chosen]))
            rows.append({"row": "drift", "state": state, "hours": hour, "units": count, "mean": mean})
    return rows


def follow(config: Config, unit: int, hours: tuple[float, ...]) -> dict[str, list[float]]:
    """Accuracies on one unit as it drifts, by what is recalibrated."""
    network = train(config)
    nominal = build_device(resolve(config), jax.random.key(unit))
    phases = optics.effects.draw_drift(jax.random.key(unit + 1), nominal.shape, DIFFUSION, DURATION)
    drift = optics.effects.Drift(phases, DURATION, fading=FADING)
    device = nominal.with_stages(slm=(*nominal.slm, drift))
    rows = network.dataset.validation.rows
    found: dict[str, list[float]] = {}
    for hour in hours:
        now = optics.aging.at_time(device, min(3600 * hour, DURATION))
        key = jax.random.fold_in(jax.random.key(unit), 7)
        refitted = nets.run.recalibrate(network.model, rows, now, key)
        cases = (network.model, now), (refitted, now), (network.model, optics.calibrate(now))
        for state, (model, on) in zip(STATES, cases, strict=True):
            tested = TrainedNetwork(network.config, network.dataset, model)
            found.setdefault(state, []).append(tested.evaluate(on, seed=unit)[0]["accuracy"])
    return found


def measure_averages(options: Populations, result_of: Callable) -> Rows:
    """Accuracy in less light with exposures that are averaged, all alike or by the network's sensitivity."""
    config = configure("own light", options.seed, options, overrides=(), **MEASURED)
    draws = 1 if options.quick else AVERAGE_DRAWS
    return [
        result_of({"row": "average", "photons": photons}, partial(average, config, photons, draws))
        for photons in LIGHTS
    ]


def average(config: Config, photons: float, draws: int) -> dict[str, Any]:
    """Accuracies of a trained network at so many photoelectrons, and the exposures of an image."""
    network = train(config)
    device = build_device(resolve(config), photons=photons)
    batch = nets.data.make_batch(network.dataset.validation, np.arange(EXPOSED), EXPOSED)
    chosen = nets.run.choose_exposures(network.model, batch, device, AVERAGE, jax.random.key(0))
    alike = optics.Averaged(device, AVERAGE, AVERAGE, AVERAGE)
    found: dict[str, Any] = {"inputs": chosen.inputs, "kernels": chosen.kernels, "products": chosen.products}
    for name, on in (("once", optics.Averaged(device)), ("alike", alike), ("chosen", chosen)):
        accuracies = [network.evaluate(on, seed)[0]["accuracy"] for seed in range(draws)]
        counts = optics.accounting.count(lambda d, key: network.model(batch[0], d, key), on)
        found |= {name: float(np.mean(accuracies)), f"exposures_{name}": counts.exposures / EXPOSED}
    return found
