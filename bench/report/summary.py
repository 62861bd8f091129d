"""The main number of each record as a sentence."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.config import BASELINES
from bench.output import Rows, select
from bench.plots import quantity


def headline(command: str, rows: Rows) -> str:
    """The result of a command as a sentence; empty where its rows are not those of the whole measurement."""
    try:
        return HEADLINES[command](rows)
    except (KeyError, StopIteration, ValueError, TypeError):
        return ""


def _fidelity(rows: Rows) -> str:
    row = next(
        row for row in select(rows, operation="convolution", condition="one shot") if "sweep" not in row
    )
    return f"One convolution is off by {row['relative_rms_error']:.1e}, {row['effective_bits']:.1f} bits."


def _speed(rows: Rows) -> str:
    timed = select(rows, what="noisy device", against="exact FFT")
    # The longest is the one that its overhead changes least.
    row = max(
        (row for row in timed if "gradient" not in row["operation"]), key=lambda row: row["milliseconds"]
    )
    return (
        f"On the noisy device a {row['operation']} takes {row['ratio']:.1f} times as long as the exact FFT."
    )


def _roofline(rows: Rows) -> str:
    row = next(row for row in select(rows, operation="primitive") if "noisy device" in row["what"])
    return f"{row['what']}: {row['reached']:.0%} of what the machine could do."


def _panels(rows: Rows) -> str:
    timed = select(rows, operation="speed", what="forward", kind="compiled")
    row = max((row for row in timed if row["side"] <= 1024), key=lambda row: row["side"])
    return (
        f"A transform of {row['side']:,}×{row['side']:,} pixels takes {row['ratio']:.1f} times as long as a "
        "bare FFT."
    )


def _products(rows: Rows) -> str:
    row = max(
        select(rows, operation="geometry", reading="bench with a reference"), key=lambda row: row["size"]
    )
    timed = next(iter(select(rows, operation="speed", what="forward")))
    return (
        f"One exposure that multiplies matrices of {row['size']}×{row['size']} is off by "
        f"{row['of_spread']:.0%} of the spread of their product. On {timed['device']} a noisy product of "
        f"{timed['shape']} takes {timed['ratio']:.1f} times as long as the exact one."
    )


def _photons(rows: Rows) -> str:
    summary = [row for row in select(rows, training="through noise", seed=None) if "photons" in row]
    row = max((row for row in summary if row["photons"] < 1), key=lambda row: row["photons"])
    exact = next(row["exact"] for row in rows if "exact" in row)
    return (
        f"With {row['photons']:g} detected photons a multiplication a network reads {row['accuracy']:.1%}, "
        f"with exact products {exact:.1%}."
    )


def _design(rows: Rows) -> str:
    chosen, own = (next(iter(select(rows, row="units", design=name))) for name in ("chosen", "own numbers"))
    comparison = next(iter(select(rows, row="comparison")))
    before = next(iter(select(rows, row="own numbers")))["joules"]
    return (
        f"Numbers found by gradient read a digit with {quantity(chosen['joules'], 'J')} in place of "
        f"{quantity(before, 'J')}, {chosen['mean']:.1%} of them right over {chosen['units']} units against "
        f"{own['mean']:.1%}, in {comparison['times_fewer']:.0f} times fewer evaluations than a grid."
    )


def _populations(rows: Rows) -> str:
    summary = select(rows, row="summary")
    ordinary, robust = summary[0], max(summary, key=lambda row: row["fifth"])
    step = next(iter(select(rows, row="step", training=robust["training"])))
    return (
        f"With 3 photoelectrons and 2-bit converters 95 % of {robust['units']} units read at least "
        f"{robust['fifth']:.1%} of the digits after training with {robust['training']}, "
        f"{ordinary['fifth']:.1%} after ordinary training, at {step['ratio']:.2f} times its step."
    )


def _memory(rows: Rows) -> str:
    row = next(row for row in select(rows, what="noisy device") if "ratio" in row)
    return f"Convolutions with their gradient take {row['ratio']:.1f} times the memory of the exact FFT."


def _ledger(rows: Rows) -> str:
    row = next(iter(select(rows, computation="one convolution")))
    return (
        f"One convolution takes {quantity(row['joules'], 'J', 2)} and {quantity(row['seconds'], 's', 2)}: "
        f"{row['ratio']:.2g} times the energy of an H100 at its peak rate."
    )


def _devices(rows: Rows) -> str:
    close = [row for row in rows if row["difference_points"] >= -2]
    least = min(close, key=lambda row: row["exposures"])
    return (
        f"{len(close)} of {len(rows)} benches read {rows[0]['data']} within 2 points of their exact twins; "
        f"{least['device']} with the fewest exposures, {least['exposures']:,.0f} an image."
    )


def _language(rows: Rows) -> str:
    networks, counting = select(rows, what="network"), select(rows, what="baseline", name="Kneser–Ney 5")
    best = min(networks, key=lambda row: row["perplexity"])
    light = max((row for row in networks if row["device"] != "none"), key=lambda row: abs(row["change"]))
    return (
        f"Perplexity {best['perplexity']:.1f} by {best['name']}, beside {counting[0]['perplexity']:.1f} by "
        f"Kneser–Ney of order 5; light changes that of a network by {light['change']:+.1%} at most."
    )


def _tuning(rows: Rows) -> str:
    option = [*rows[0]][1]
    values = sorted({row[option] for row in rows if row["chosen"]})
    return f"Validation chose {option.replace('_', ' ')} {' or '.join(f'{value:g}' for value in values)}."


def _studies(rows: Rows) -> str:
    alone = next(iter(select(rows, study="alone", network="trained exactly")))["accuracy"]
    units = [row["accuracy"] for row in select(rows, study="population", network="trained exactly")]
    return (
        f"A network that was trained exactly classifies {alone:.1%} of the held-out rows, and "
        f"{np.mean(units):.1%} on the device, the mean over {len(units)} units."
    )


def _accuracy(rows: Rows) -> str:
    sentences = []
    for data in dict.fromkeys(row["data"] for row in rows):
        best = max(select(rows, data=data), key=lambda row: row["accuracy"])
        baselines = [f"{name} {best[key]:.1%}" for key, name in BASELINES.items() if best.get(key)]
        beside = f" ({', '.join(baselines)})" if baselines else ""
        sentences.append(f"{data}: {best['accuracy']:.1%} by {best['name']}{beside}.")
    return " ".join(sentences)


def _pattern(rows: Rows) -> str:
    worst = max(rows, key=lambda row: row["rms_error"])
    return (
        f"{len(rows)} patterns of {rows[0]['panel']} panel pixels; {worst['file']} is off by "
        f"{worst['rms_error']:.2g} {worst['unit']} rms in its levels."
    )


HEADLINES: dict[str, Callable[[Rows], str]] = {
    "fidelity": _fidelity,
    "speed": _speed,
    "roofline": _roofline,
    "panels": _panels,
    "products": _products,
    "photons": _photons,
    "design": _design,
    "pattern": _pattern,
    "populations": _populations,
    "memory": _memory,
    "ledger": _ledger,
    "devices": _devices,
    "language": _language,
    "tuning": _tuning,
    "studies": _studies,
    "accuracy": _accuracy,
}


def summarize_runs(results: list[dict[str, Any]]) -> Rows:
    """A row for each data set: the number of runs, and their lowest and highest test accuracy, or perplexity
    where language models were trained."""
    rows = []
    for data in sorted({str(result.get("data", "")) for result in results}):
        of_data = [result for result in results if str(result.get("data", "")) == data]
        row: dict[str, Any] = {"data": data, "runs": len(of_data)}
        for key, form in (("test_accuracy", "{:.1%}"), ("test_perplexity", "perplexity {:.1f}")):
            values = [result[key] for result in of_data if key in result]
            if values:
                row |= {"lowest": form.format(min(values)), "highest": form.format(max(values))}
        rows.append(row)
    return rows
