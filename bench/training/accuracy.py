"""Recorded runs side by side: test accuracy of each arm with its interval, and how far it is from its reference.

An arm is what the configuration of a run says apart from the seed. The p values are those of single comparisons: of twenty arms
that do not differ from their reference, one is expected below 0.05.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bench import output as results
from bench.config import Accuracy
from bench.training import statistics as proportions
from bench.training.runs import PARAMETERS, Arm, differing, gather, read

# Rows of the test sets that nets.data reads: a fifth of 1,797 digits, and what the others come with.
ROWS = {"digits": 359, "imdb": 25_000, "fashion-mnist": 10_000}
MARGIN = 1.0  # points within which two arms count as equal


def main(options: Accuracy) -> results.Rows:
    """Read, compare, print, write; returns the rows, one an arm.

    Raises:
        ValueError: no run, a file that cannot be read, runs that contradict one another, an unknown reference, or no folder to write.
    """
    folders = sorted(
        path.parent
        for path in options.results.rglob("config.json")
        if (path.parent / "metrics.jsonl").is_file()
    )
    runs = [run for run in (read(folder, options.results) for folder in folders) if run is not None]
    if not runs:
        raise ValueError(
            f"`results` {options.results} must hold folders of finished runs (config.json and metrics.jsonl that ends with "
            f"test_accuracy), found {len(folders)} unfinished; run python -m nets.train, or name another folder."
        )
    found = sorted({run.settings["data"] for run in runs})
    sets = {data: gather(data, [run for run in runs if run.settings["data"] == data]) for data in found}
    names = [arm[0].name for arms in sets.values() for arm in arms]
    if options.reference and options.reference not in names:
        raise ValueError(f"`reference` must be one of {', '.join(names)}; got {options.reference!r}.")
    results.prepare(options.out)
    rng = np.random.default_rng(options.seed)
    rows = [row for arms in sets.values() for row in compare(arms, options.reference, rng)]
    for data in sets:
        print(f"{data}\n{table([row for row in rows if row['data'] == data])}\n")
    print(
        "Intervals are of 95 %. Over rows: what other test rows would give with these networks; over seeds: what other seeds would.\n"
        f"Differences are in points, against the arm named; within {MARGIN:g} point: yes if their interval is, no if it lies outside, else open."
    )
    if len(runs) < len(folders):
        print(f"left out as unfinished: {len(folders) - len(runs)} of {len(folders)} runs")
    results.write(options.out, "accuracy", rows, asdict(options), picture(rows))
    return rows


def reference_of(arm: Arm, arms: list[Arm], named: str) -> Arm | None:
    """What an arm is compared with: the one named; else the linear network, else the exact twin, that differs in least."""
    chosen = [other for other in arms if other[0].name == named]
    exact = [other for other in arms if other[0].settings.get("device", "none") == "none"]
    linear = [other for other in exact if other[0].settings["model"] == "linear"]
    twins = [other for other in exact if other[0].settings["model"] == arm[0].settings["model"]]
    return min(chosen or linear or twins, key=lambda other: len(differing(other[0], arm[0])), default=None)


def rows_of(arms: list[Arm], runs: Arm) -> int | None:
    """Rows of the test set that these runs had; None if it is not known, or an accuracy is not a share of so many rows."""
    known = next(
        (len(run.labels) for arm in arms for run in arm if run.labels is not None),
        ROWS.get(runs[0].settings["data"]),
    )
    counts = [run.final["test_accuracy"] * known for run in runs] if known else []
    # Sums of float32 weights are exact, and their ratio is rounded once.
    return known if all(abs(count - round(count)) < 0.01 for count in counts) else None


def compare(arms: list[Arm], named: str, rng: np.random.Generator) -> results.Rows:
    """A row for each arm of a data set."""
    rows = []
    for arm in arms:
        accuracies, size = [run.final["test_accuracy"] for run in arm], rows_of(arms, arm)
        low, high, over = proportions.interval(accuracies, size) or (None, None, "unknown number of rows")
        recorded = {
            name: [run.final[name] for run in arm if run.final.get(name) is not None]
            for name in (*PARAMETERS, "bag_of_words_accuracy", "seconds")
        }
        row = {
            "data": arm[0].settings["data"],
            "name": arm[0].name,
            "network": arm[0].settings["model"],
            **{name: arm[0].settings.get(name) for name in ("device", "gradient", "epochs")},
            "seeds": [run.seed for run in arm],
            "test_rows": size,
            "accuracy": float(np.mean(accuracies)),
            "low": low,
            "high": high,
            "over": over,
            **{name: np.mean(values).item() if values else None for name, values in recorded.items()},
        }
        reference = reference_of(arm, arms, named)
        if reference is not None and reference is not arm:
            difference, seeds = between(
                arm, reference, size if size == rows_of(arms, reference) else None, rng
            )
            points = [
                None if value is None else 100 * value
                for value in (difference.value, difference.low, difference.high)
            ]
            row |= {
                "against": reference[0].name,
                "differs_in": ", ".join(differing(arm[0], reference[0])),
                **dict(zip(("difference_points", "difference_low", "difference_high"), points, strict=True)),
                "p": difference.p,
                "compared": difference.over,
                "compared_seeds": seeds,
                "within_1_point": proportions.equivalent(difference, MARGIN / 100),
            }
        rows.append(row)
    return rows


def between(
    arm: Arm, reference: Arm, size: int | None, rng: np.random.Generator
) -> tuple[proportions.Difference, list[int]]:
    """The difference of two arms and the seeds it is of: paired where both kept predictions of every seed that they share."""
    ours, theirs = ({run.seed: run for run in runs} for runs in (arm, reference))
    seeds = [seed for seed in ours if seed in theirs]
    if seeds and all(run.right is not None for seed in seeds for run in (ours[seed], theirs[seed])):
        return proportions.paired(
            *(np.stack([runs[seed].right for seed in seeds]) for runs in (ours, theirs)), rng
        ), seeds
    return proportions.unpaired(
        *([run.final["test_accuracy"] for run in runs] for runs in (arm, reference)), size
    ), list(ours)


def table(rows: results.Rows) -> str:
    """One line an arm; columns in which nothing stands are left out."""

    def limits(row: dict[str, Any], low: str, high: str, spec: str, scale: float) -> str | None:
        return None if row.get(low) is None else f"{scale * row[low]:{spec}} to {scale * row[high]:{spec}}"

    lines = [
        row
        | {
            "seeds": len(row["seeds"]),
            "accuracy_interval": limits(row, "low", "high", ".2f", 100),
            "interval": limits(row, "difference_low", "difference_high", "+.2f", 1),
            "bag_of_words": row["bag_of_words_accuracy"],
            "difference": row.get("difference_points"),
            "within_1": row.get("within_1_point"),
        }
        for row in rows
    ]
    columns = {
        "name": "",
        "network": "",
        "device": "",
        "gradient": "",
        **dict.fromkeys(PARAMETERS, ",.0f"),
        "seeds": "",
        "epochs": "",
        "accuracy": ".2%",
    }
    columns |= {"accuracy_interval": "", "over": "", "bag_of_words": ".2%", "seconds": ",.0f", "against": ""}
    columns |= {"difference": "+.2f", "interval": "", "p": ".2g", "within_1": "", "compared": ""}
    return results.table(
        lines,
        {key: spec for key, spec in columns.items() if any(line.get(key) is not None for line in lines)},
    )


def picture(rows: results.Rows) -> Figure:
    """Accuracies with their intervals, and differences against ±1 point, a row of panels for each data set."""
    sets = {data: [row for row in rows if row["data"] == data] for data in {row["data"]: 0 for row in rows}}
    sizes = [len(arms) + 2 for arms in sets.values()]
    figure = Figure(figsize=(11, 0.8 + 0.45 * sum(sizes)), layout="constrained")
    panels = figure.subplots(len(sets), 2, squeeze=False, height_ratios=sizes, sharey="row")
    for (left, right), (data, arms) in zip(panels, sets.items(), strict=True):
        baselines = sorted({row["bag_of_words_accuracy"] for row in arms} - {None})
        references = {row.get("against") for row in arms}
        for place, row in enumerate(arms):
            whiskers(
                left,
                place,
                100 * row["accuracy"],
                [row[side] and 100 * row[side] for side in ("low", "high")],
            )
            # What a line behind a label would make hard to read.
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1}
            at = (100 * row["accuracy"], place)
            left.annotate(
                f"{row['accuracy']:.2%}",
                at,
                (0, 7),
                textcoords="offset points",
                ha="center",
                fontsize=7,
                bbox=box,
            )
            note = "the reference" if row["name"] in references else "nothing to be compared with"
            if "against" in row:
                whiskers(
                    right, place, row["difference_points"], [row["difference_low"], row["difference_high"]]
                )
                note = f"{row['difference_points']:+.2f} against {row['against']}, {row['compared']}".replace(
                    "-", "−", row["difference_points"] < 0
                )
            # Above the whole row, where a long name meets no axis.
            whole = right.get_yaxis_transform()
            right.annotate(
                note, (0.5, place), (0, 6), whole, "offset points", ha="center", fontsize=7, bbox=box
            )
        for value in baselines:
            left.axvline(100 * value, color="0.3", linestyle=":")
        words = (
            f", dotted: bag of words {' and '.join(f'{value:.2%}' for value in baselines)}"
            if baselines
            else ""
        )
        left.set(yticks=range(len(arms)), title=f"{data}{words}", xlabel="test accuracy (%)")
        left.set_yticklabels([row["name"] for row in arms])
        right.axvspan(-MARGIN, MARGIN, color="0.9", zorder=0)
        right.axvline(0, color="0.3", linewidth=0.8)
        right.set(title=f"{data}, band: ±{MARGIN:g} point", xlabel="difference from the reference (points)")
        left.set_ylim(len(arms) - 0.5, -0.7)
        for axes in (left, right):
            axes.margins(x=0.15)
            axes.title.set_fontsize(9)
            axes.tick_params(axis="y", labelsize=7)
            axes.grid(axis="x", alpha=0.3)
    return figure


def whiskers(axes: Any, place: int, value: float, limits: list[float | None]) -> None:
    """A value with its interval, where it has one."""
    error = None if limits[0] is None else [[max(value - limits[0], 0)], [max(limits[1] - value, 0)]]
    axes.errorbar(value, place, xerr=error, fmt="o", color="C0", capsize=3)
