"""Language models side by side: perplexities with intervals over documents, what a device changes, and text.

The plan names a network through a device and its exact twin: the same options with no device. Runs are those
that `python -m bench experiments` has recorded; the studies and the text need the folder of one with its
checkpoints, and test on documents that were held out of training, never on the test set.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm.auto import tqdm

from bench import output, plots
from bench.config import Language
from bench.output import Rows, select
from bench.training import accuracy
from bench.training.devices import pair_runs, read_runs
from bench.training.plans import read_variants
from bench.training.resumable import resumable
from bench.training.runs import Run
from bench.training.statistics import LEVEL, students
from bench.training.studies import load_finished
from nets.run import RunFolder, TrainedNetwork, build_device, generate, recalibrate

BASELINES = {
    "unigram": "unigram_perplexity",
    "Kneser–Ney 3": "kneser_ney_3_perplexity",
    "Kneser–Ney 5": "kneser_ney_5_perplexity",
}
RESAMPLES = 2000
# Values that a network is tested at, by parameter of the preset.
SWEEPS = {
    "photons": (1, 10, 100, 1e3, 62_400),
    "adc_bits": (3, 4, 6, 8, 10),
    "dac_bits": (3, 4, 6, 8),
    "aberration": (0.0, 0.05, 0.1, 0.2),
}
UNITS = 8
HELD_OUT_ROWS = 200  # rows of the studies
RECALIBRATION_ROWS = 32
# Presets that transform planes, as spectral attention needs, and none for the exact network.
SAMPLE_DEVICES = ("none", "engine11", "slm-4f", "slm-fast", "dmd-4f", "intensity-4f")
PROMPT, SAMPLE_TOKENS = "The film", 60
COLUMNS = {
    "name": "",
    "device": "",
    "perplexity": ".2f",
    "low": ".2f",
    "high": ".2f",
    "bits_per_byte": ".3f",
    "against": "",
    "change": "+.2%",
    "change_low": "+.2%",
    "change_high": "+.2%",
    "seeds": "",
    "parameters": ",.0f",
}
STUDY_COLUMNS = {"study": "", "network": "", "field": "", "value": "", "unit": "", "perplexity": ".2f"}


def main(options: Language) -> Rows:
    """Read the runs of the plan, compare, test, write; returns the rows.

    Raises:
        ValueError: an unknown plan, no recorded run of a language model, or a folder that cannot be written
            to.
    """
    names = read_variants(options.plan)
    folder = options.results / Path(options.plan).stem
    runs = [run for name in names for run in read_runs(folder, name) if "test_perplexity" in run.result]
    if not runs:
        raise ValueError(
            f"`results` {options.results} must hold recorded language models of the plan {options.plan}; "
            f"train them first: python -m bench experiments --plan {options.plan}."
        )
    output.check_folder(options.out)
    rng = np.random.default_rng(options.seed)
    rows = compare(runs, options.reference, rng)
    print(output.table(select(rows, what="network"), COLUMNS), end="\n\n")
    for row in select(rows, what="baseline"):
        print(f"{row['name']}: {row['perplexity']:.2f}")
    folders = [path for path in (options.exact, options.through) if path is not None]
    unfinished, result_of = resumable(options.out, "language", asdict(options))
    for path in folders:
        rows += study(path, options, result_of)
    if folders:
        rows += write_samples(folders[-1], options, result_of)
        print(output.table(select(rows, what="study"), STUDY_COLUMNS))
    else:
        print("left out: networks on devices, and text; give --exact and --through")
    output.write(options.out, "language", rows, options, plots.language(rows))
    unfinished.unlink()
    return rows


def compare(runs: list[Run], reference: str, rng: np.random.Generator) -> Rows:
    """A row for each variant of the plan, against its exact twin or the reference, and for each baseline."""
    variants: dict[str, list[Run]] = {}
    for run in runs:
        variants.setdefault(run.name, []).append(run)
    twins = {through[0].name: exact for through, exact in pair_runs(runs)}
    rows = []
    for name, variant in variants.items():
        documents = [RunFolder(run.folder).document_losses() for run in variant]
        perplexity, low, high = interval(documents, rng)
        bits = [run.result["test_bits_per_byte"] for run in variant if "test_bits_per_byte" in run.result]
        row = {"what": "network", "name": name, "network": variant[0].settings["model"]}
        row |= {"device": accuracy.name_device(variant[0].settings), "seeds": [run.seed for run in variant]}
        row |= {"perplexity": perplexity, "low": low, "high": high}
        row |= {"bits_per_byte": float(np.mean(bits)) if bits else None}
        row |= {"parameters": variant[0].result["parameters"], "seconds": mean_of(variant, "seconds")}
        row |= {"exact_perplexity": mean_of(variant, "exact_test_perplexity")}
        against = twins.get(name, variants.get(reference))
        if against is not None and against is not variant:
            row |= {"against": against[0].name} | change(variant, against, rng)
        rows.append(row)
    for name, key in BASELINES.items():
        values = [run.result[key] for run in runs if run.result.get(key) is not None]
        if values:
            rows.append({"what": "baseline", "name": name, "perplexity": float(np.mean(values))})
    return rows


def mean_of(variant: list[Run], key: str) -> float | None:
    """The mean of a result over seeds, where all have it."""
    values = [run.result.get(key) for run in variant]
    return None if None in values else float(np.mean(values))


def interval(documents: list[dict[str, np.ndarray]], rng: np.random.Generator) -> tuple[float, float, float]:
    """Geometric mean over seeds of the perplexity, and its interval over documents, which are drawn again."""
    nats, tokens = np.mean([part["nats"] for part in documents], axis=0), documents[0]["tokens"]
    return (math.exp(nats.sum() / tokens.sum()), *np.exp(resample(nats, tokens, rng)).tolist())


def change(first: list[Run], second: list[Run], rng: np.random.Generator) -> dict[str, float]:
    """How much higher the first perplexity is, relative to the second, over the seeds of both.

    The interval is over documents, paired, or, with several seeds, over those where it is wider (Student).
    """
    by_seed = {run.seed: RunFolder(run.folder).document_losses() for run in second}
    pairs = [
        (RunFolder(run.folder).document_losses(), by_seed[run.seed]) for run in first if run.seed in by_seed
    ]
    if not pairs:
        return {}
    tokens = pairs[0][0]["tokens"]
    differences = np.array([ours["nats"] - theirs["nats"] for ours, theirs in pairs])
    low, high = resample(differences.mean(axis=0), tokens, rng)
    if len(pairs) > 1:
        over_seeds = students(differences.sum(axis=1) / tokens.sum())
        low, high = over_seeds if over_seeds[1] - over_seeds[0] > high - low else (low, high)
    value = differences.mean(axis=0).sum() / tokens.sum()
    names = ("change", "change_low", "change_high")
    return dict(zip(names, map(math.expm1, (value, low, high)), strict=True))


def resample(nats: np.ndarray, tokens: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Percentile interval of nats a token, Σ nats / Σ tokens, over documents drawn again."""
    drawn = rng.multinomial(len(nats), np.full(len(nats), 1 / len(nats)), size=RESAMPLES)
    low, high = np.quantile(drawn @ nats / (drawn @ tokens), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def study(folder: Path, options: Language, result_of: Callable) -> Rows:
    """A network without light, on the device with one number changed, on units, and recalibrated there."""
    network = load_finished(folder)
    held_out = network.dataset.validation.take(slice(20 if options.quick else HELD_OUT_ROWS))
    network.dataset = replace(network.dataset, validation=held_out)
    name = "trained without light" if network.config.device == "none" else "trained through light"
    base = {"what": "study", "network": name}

    def on_unit(unit: int | None, numbers: dict[str, float]) -> dict[str, float]:
        config = replace(network.config, device=options.device, overrides=(), unit=unit)
        return held_out_perplexity(network, build_device(config, **numbers), options.seed)

    rows = [result_of(base | {"study": "exact"}, lambda: held_out_perplexity(network, None, options.seed))]
    sweeps = {"photons": SWEEPS["photons"][-1:]} if options.quick else SWEEPS
    cases = [(field, value) for field, values in sweeps.items() for value in values]
    for field, value in tqdm(cases, desc=f"{name}: sweeps", unit=" devices", leave=False):
        # Each unit has its own aberrations.
        unit = 0 if field == "aberration" else None
        case = base | {"study": "device", "field": field, "value": value}
        rows.append(result_of(case, partial(on_unit, unit, {field: value})))
        if field == "aberration":
            case = case | {"study": "recalibrated device"}
            rows.append(
                result_of(case, partial(recalibrated_perplexity, network, unit, {field: value}, options))
            )
    for unit in tqdm(range(1 if options.quick else UNITS), desc=f"{name}: units", unit=" units", leave=False):
        rows.append(result_of(base | {"study": "unit", "unit": unit}, partial(on_unit, unit, {})))
        case = base | {"study": "recalibrated unit", "unit": unit}
        rows.append(result_of(case, partial(recalibrated_perplexity, network, unit, {}, options)))
    return rows


def held_out_perplexity(network: TrainedNetwork, device: Any, seed: int) -> dict[str, float]:
    """Perplexity on the documents held out."""
    return {"perplexity": network.evaluate(device, seed, "validation")[0]["perplexity"]}


def recalibrated_perplexity(
    network: TrainedNetwork, unit: int, numbers: dict[str, float], options: Language
) -> dict[str, float]:
    """The same with norms that were fitted to a unit, on rows of training."""
    config = replace(network.config, device=options.device, overrides=(), unit=unit)
    device = build_device(config, **numbers)
    rows = network.dataset.train.rows[:RECALIBRATION_ROWS]
    model = recalibrate(network.model, rows, device, jax.random.key(options.seed))
    fitted = TrainedNetwork(network.config, network.dataset, model)
    return held_out_perplexity(fitted, device, options.seed)


def write_samples(folder: Path, options: Language, result_of: Callable) -> Rows:
    """A text of each device by the same network and the same random numbers."""
    config, rows = RunFolder(folder).config(), []
    for device in dict.fromkeys(chain(SAMPLE_DEVICES[: 2 if options.quick else None], [config.device])):

        def write(device: str = device) -> dict[str, Any]:
            tokens = generate(folder, PROMPT, SAMPLE_TOKENS, device, seed=options.seed, compare=True)
            return summarize_text(list(tokens))

        rows.append(result_of({"what": "sample", "device": device}, write))
    return rows


def summarize_text(tokens: list) -> dict[str, Any]:
    """The text, and the geometric mean of the probabilities that the device and the exact network gave it."""
    text = PROMPT + "".join(token.text for token in tokens)
    return {
        "text": text,
        "probability": float(np.exp(np.mean(np.log([token.probability for token in tokens])))),
        "exact_probability": float(np.exp(np.mean(np.log([token.exact for token in tokens])))),
        "same_choice": float(np.mean([token.exact_choice == token.exact for token in tokens])),
    }
