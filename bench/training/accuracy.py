"""Recorded runs side by side: test accuracy of each variant with its interval, and differences.

The p values are of single comparisons: of twenty variants that do not differ from their reference, one is
expected below 0.05.
"""

from typing import Any

import numpy as np

from bench import output, plots
from bench.config import BASELINES, EQUAL_WITHIN, Accuracy
from bench.output import Rows, select
from bench.training import statistics
from bench.training.cost import count_cost
from bench.training.runs import (
    PARAMETERS,
    SIZES,
    Run,
    Variant,
    differences,
    group_runs,
    read_run,
    run_folders,
)
from nets import data as datasets
from nets.config import LANGUAGE, Config

# Columns of the table, and their headings.
MULTIPLICATIONS = {"multiplications": "multiplications", "device_multiplications": "on_device"}


def main(options: Accuracy) -> Rows:
    """Read, compare, print, write; returns the rows, one for each variant.

    Raises:
        ValueError: no run, a file that cannot be read, runs that contradict one another, an unknown
            reference, or a folder that cannot be written to.
    """
    folders = run_folders(options.results)
    runs = [run for folder in folders if (run := read_run(folder, options.results)) is not None]
    # Those of language models are compared by their perplexity: `python -m bench language`.
    finished, runs = len(runs), [run for run in runs if run.settings["task"] not in LANGUAGE]
    if not runs:
        raise ValueError(
            f"`results` {options.results} must hold folders of finished runs (config.json and metrics.jsonl "
            f"that ends with test_accuracy), found {len(folders)} unfinished; run python -m nets.train, or "
            "name another folder."
        )
    sets = group_by_data(runs)
    names = [variant[0].name for variants in sets.values() for variant in variants]
    if options.reference and options.reference not in names:
        raise ValueError(f"`reference` must be one of {', '.join(names)}; got {options.reference!r}.")
    output.check_folder(options.out)
    rng = np.random.default_rng(options.seed)
    rows = [row for variants in sets.values() for row in compare(variants, options.reference, rng)]
    for data in sets:
        print(f"{data}\n{tabulate(select(rows, data=data))}\n")
    print(
        "Intervals are of 95 %. Over rows: what other test rows would give with these networks; over seeds: "
        "what other seeds would.\nDifferences are in points, against the variant named; within "
        f"{EQUAL_WITHIN:g} point: yes if their interval is, no if it lies outside, else open.\n"
        "Multiplications are those of electronics for one test row of full length, forward; on device: those "
        "that\nelectronics would need for what a device computes, 2 N log2 N for a Fourier transform."
    )
    if finished < len(folders):
        print(f"left out as unfinished: {len(folders) - finished} of {len(folders)} runs")
    output.write(options.out, "accuracy", rows, options, plots.accuracy(rows))
    return rows


def group_by_data(runs: list[Run]) -> dict[str, list[Variant]]:
    """The variants of each data set."""
    names = sorted({run.settings["data"] for run in runs})
    return {name: group_runs(name, [run for run in runs if run.settings["data"] == name]) for name in names}


def compare(variants: list[Variant], reference_name: str, rng: np.random.Generator) -> Rows:
    """A row for each variant of a data set."""
    rows = []
    baselines = known_baselines(variants)
    for variant in variants:
        row = summarize(variant, count_test_rows(variants, variant)) | baselines
        reference = choose_reference(variant, variants, reference_name)
        if reference is not None and reference is not variant:
            size = row["test_rows"] if row["test_rows"] == count_test_rows(variants, reference) else None
            difference, seeds = subtract(variant, reference, size, rng)
            points = [
                None if value is None else 100 * value
                for value in (difference.value, difference.low, difference.high)
            ]
            row |= {
                "against": reference[0].name,
                "differs_in": ", ".join(differences(variant[0], reference[0])),
                **dict(zip(("difference_points", "difference_low", "difference_high"), points, strict=True)),
                "p": difference.p,
                "compared": difference.over,
                "compared_seeds": seeds,
                "within_1_point": statistics.equivalent(difference, EQUAL_WITHIN / 100),
            }
        rows.append(row)
    return rows


def known_baselines(variants: list[Variant]) -> dict[str, float]:
    """The baselines that any run of a data set has recorded: they are the same for all, as the splits are."""
    results = [run.result for variant in variants for run in variant]
    found = {name: [result[name] for result in results if result.get(name) is not None] for name in BASELINES}
    known = {name: float(np.mean(values)) for name, values in found.items() if values}
    sizes = {count_test_rows(variants, variant) for variant in variants}
    if variants[0][0].settings["data"] == "digits" and sizes == {SIZES["digits"].test}:
        # The first runs did not record them.
        known |= datasets.load(Config(data="digits")).baseline
    return known


def summarize(variant: Variant, size: int | None) -> dict[str, Any]:
    """Options of a variant, its mean accuracy over seeds with an interval, and its other figures."""
    accuracies = [run.result["test_accuracy"] for run in variant]
    low, high, over = statistics.interval(accuracies, size) or (None, None, "unknown number of rows")
    settings = variant[0].settings
    means: dict[str, float | None] = {}
    for name in (*PARAMETERS, "seconds"):
        values = [run.result[name] for run in variant if run.result.get(name) is not None]
        means[name] = np.mean(values).item() if values else None
    cost = count_cost(settings)
    costs = {} if cost is None else cost._asdict()
    return {
        "data": settings["data"],
        "name": variant[0].name,
        "network": settings["model"],
        "device": name_device(settings),
        **{name: settings.get(name) for name in ("gradient", "epochs")},
        "seeds": [run.seed for run in variant],
        "test_rows": size,
        "accuracy": float(np.mean(accuracies)),
        "low": low,
        "high": high,
        "over": over,
        # Parameters that a run recorded are its own.
        **{name: costs.get(name) if means[name] is None else means[name] for name in PARAMETERS},
        **{name: costs.get(name) for name in MULTIPLICATIONS},
        "seconds": means["seconds"],
    }


def name_device(settings: dict[str, Any]) -> str:
    """What computes a network: the device of its convolutions, of its products of matrices, or both."""
    names = [settings.get("device", "none")]
    if settings.get("products", "electronic") == "device":
        names.append(settings["multiplier"])
    return "-".join(name for name in names if name != "none") or "none"


def count_test_rows(variants: list[Variant], variant: Variant) -> int | None:
    """Rows of the test set of these runs; None if unknown, or if an accuracy is no multiple of 1 / rows."""
    sizes = [len(run.labels) for other in variants for run in other if run.labels is not None]
    data = variant[0].settings["data"]
    size = sizes[0] if sizes else SIZES[data].test if data in SIZES else None
    counts = [run.result["test_accuracy"] * size for run in variant] if size else []
    # Sums of float32 weights are exact, and their ratio is rounded once.
    return size if all(abs(count - round(count)) < 0.01 for count in counts) else None


def choose_reference(variant: Variant, variants: list[Variant], name: str) -> Variant | None:
    """The variant to compare with: the one of that name, else the linear network that was trained on as many
    rows, else the exact twin.
    """
    named = [other for other in variants if other[0].name == name]
    exact = [other for other in variants if name_device(other[0].settings) == "none"]
    rows = variant[0].settings.get("max_examples")
    linear = [
        other
        for other in exact
        if other[0].settings["model"] == "linear" and other[0].settings.get("max_examples") == rows
    ]
    twins = [other for other in exact if other[0].settings["model"] == variant[0].settings["model"]]
    return min(
        named or linear or twins, key=lambda other: len(differences(other[0], variant[0])), default=None
    )


def subtract(
    variant: Variant, reference: Variant, size: int | None, rng: np.random.Generator
) -> tuple[statistics.Difference, list[int]]:
    """The difference of two variants, and its seeds; paired where both kept predictions for shared seeds."""
    ours, theirs = ({run.seed: run for run in runs} for runs in (variant, reference))
    seeds = [seed for seed in ours if seed in theirs]
    if seeds and all(run.is_correct is not None for seed in seeds for run in (ours[seed], theirs[seed])):
        correct = (np.stack([runs[seed].is_correct for seed in seeds]) for runs in (ours, theirs))
        return statistics.paired_difference(*correct, rng), seeds
    accuracies = ([run.result["test_accuracy"] for run in runs] for runs in (variant, reference))
    return statistics.unpaired_difference(*accuracies, size), list(ours)


def tabulate(rows: Rows) -> str:
    """One line for each variant; columns without an entry are left out."""

    def interval(row: dict[str, Any], low: str, high: str, spec: str, scale: float) -> str | None:
        return None if row.get(low) is None else f"{scale * row[low]:{spec}} to {scale * row[high]:{spec}}"

    lines = [
        row
        | {
            "seeds": len(row["seeds"]),
            "accuracy_interval": interval(row, "low", "high", ".2f", 100),
            "interval": interval(row, "difference_low", "difference_high", "+.2f", 1),
            **{name: row.get(key) for key, name in (BASELINES | MULTIPLICATIONS).items()},
            "difference": row.get("difference_points"),
            "within_1": row.get("within_1_point"),
        }
        for row in rows
    ]
    columns = {"name": "", "network": "", "device": "", "gradient": "", **dict.fromkeys(PARAMETERS, ",.0f")}
    columns |= dict.fromkeys(MULTIPLICATIONS.values(), ".3g")
    columns |= {"seeds": "", "epochs": "", "accuracy": ".2%", "accuracy_interval": "", "over": ""}
    columns |= {**dict.fromkeys(BASELINES.values(), ".2%"), "seconds": ",.0f", "against": ""}
    columns |= {"difference": "+.2f", "interval": "", "p": ".2g", "within_1": "", "compared": ""}
    present = {key: spec for key, spec in columns.items() if any(line.get(key) is not None for line in lines)}
    return output.table(lines, present)
