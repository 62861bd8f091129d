"""Numbers in the lab report are those of the recorded files, rounded."""

import json
import re
from typing import NamedTuple

import pytest

from bench.output import growth_exponent, select
from bench.plots._scale import quantity
from tests.helpers_bench import RESULTS


class Claim(NamedTuple):
    """Text of the lab report with {} for numbers, and the numbers: (key, format, the row's entries) each."""

    text: str
    file: str
    numbers: list


def scientific(digits):
    """1.6e-3 rather than 1.6e-03."""
    return lambda value: re.sub(r"e-0*", "e-", f"{value:.{digits}e}")


def fixed(spec):
    return lambda value: f"{value:{spec}}"


def si(unit, digits=2):
    return lambda value: quantity(value, unit, digits)


def conditions(operation, key, form):
    return [
        (key, form, {"operation": operation, "condition": condition, "sweep": None})
        for condition in ("optics alone", "with converters", "one shot")
    ]


def parts(operation):
    row = {"operation": operation, "condition": "one shot", "sweep": None}
    return [("random", scientific(1), row), ("systematic", scientific(1), row)]


def effects(*names):
    return [("relative_rms_error", scientific(1), {"sweep": "budget", "condition": name}) for name in names]


def ratio_and_spread(ratio_spec, **row):
    return [("ratio", fixed(ratio_spec), row), ("spread", fixed(".2f"), row)]


ERRORS = "relative_rms_error"
ALL = {"sweep": "budget", "condition": "all"}
MANY = {"computation": "1,024 × 24 convolutions"}
SPECTRAL = {"computation": "forward, spectral attention, 6 blocks, 8 heads, 1,024 tokens"}
FULL = "full wave propagation"
GPU = {"table": "break-even", "electronics": "GPU, BF16"}
CLAIMS = [
    Claim(
        "| transform, relative RMS error | {} | {} | {} | {} | {} |",
        "fidelity",
        [*conditions("transform", ERRORS, scientific(1)), *parts("transform")],
    ),
    Claim(
        "| convolution, relative RMS error | {} | {} | {} | {} | {} |",
        "fidelity",
        [*conditions("convolution", ERRORS, scientific(1)), *parts("convolution")],
    ),
    Claim(
        "| convolution, effective bits | {} | {} | {} |",
        "fidelity",
        conditions("convolution", "effective_bits", fixed(".1f")),
    ),
    Claim(
        "| {} | {} | {} | {} | {} | {} | {} |",
        "fidelity",
        [
            *effects("camera BalancedShot", "camera Read", "camera Quantize", "slm Quantize", "optics alone"),
            ("explained", scientific(2), ALL),
            (ERRORS, scientific(2), ALL),
        ],
    ),
    *(
        Claim(
            f"| `{name}`, {size} | {{}} | {{}} | {{}} |",
            f"{name}/fidelity",
            conditions("convolution", ERRORS, scientific(1)),
        )
        for name, size in (("slm-4f", "16×16"), ("slm-fast", "16×16"), ("dmd-4f", "16×16"), ("jtc", "1×21"))
    ),
    Claim(
        "full propagation by torchoptics / compiled (`Dense`) | {} | {} |",
        "peers/speed",
        ratio_and_spread(".0f", what="torchoptics 1.0.2, full propagation on 704×704"),
    ),
    Claim(
        "one transform of 11×11, full propagation / compiled (`Dense`) | {} | {} |",
        "speed",
        ratio_and_spread(".0f", what=FULL, operation="one transform, 11×11"),
    ),
    Claim(
        "full propagation / compiled (`Separable`) | {} | {} |",
        "speed",
        ratio_and_spread(".0f", what=FULL, operation="one transform, 64×64"),
    ),
    Claim(
        "noisy `engine11` / exact FFT | {} | {} |",
        "speed",
        ratio_and_spread(
            ".1f", what="noisy device", operation="convolution, 1,024 tokens × 24 kernels of 11×11"
        ),
    ),
    *(
        Claim(
            f"| {side}×{side} | {{}} | {{}} | {{}} | {{}} |",
            "panels",
            [
                (key, scientific(1), {"operation": "sampling", "side": side, "orders": orders})
                for orders in (1, 3)
                for key in ("raw", "after_gains")
            ],
        )
        for side in (64, 128, 256)
    ),
    *(
        Claim(
            f"| {side:,}×{side:,} | {{}} | {{}} | {{}} s | {{}}, {{}}, {{}} s |",
            "panels",
            [
                (key, form, {"operation": "masks", "side": side, "lens": lens})
                for lens in ("coma, spherical, defocus", "ideal")
                for key, form in (("terms", fixed("d")), ("error", scientific(1)), ("seconds", fixed(".0f")))
            ],
        )
        for side in (64, 256, 512, 1024)
    ),
    *(
        Claim(
            text,
            "panels",
            [
                (key, fixed(spec), {"operation": "speed", "side": side, "kind": kind, "what": what})
                for side in (256, 512, 1024)
            ],
        )
        for text, kind, what, key, spec in (
            ("| compiled | {} ms | {} ms | {} ms |", "compiled", "forward", "milliseconds", ".3g"),
            ("| over a bare FFT of that size | {} | {} | {} |", "compiled", "forward", "ratio", ".1f"),
            (
                "| the same with the gradient to the light | {} | {} | {} |",
                "compiled",
                "gradient",
                "ratio",
                ".1f",
            ),
            ("| wave optics | {} ms | {} ms | {} ms |", "wave", "forward", "milliseconds", ",.0f"),
        )
    ),
    *(
        Claim(
            f"| {text} | {{}} | {{}} | {{}} | {{}} | {{}} |",
            "products",
            [
                ("of_spread", fixed(spec), {"operation": "geometry", "reading": reading, "size": size})
                for size in (10, 20, 30, 40, 50)
            ],
        )
        for text, reading, spec in (
            ("ramps alone, 0.8 of whole cycles", "ramps alone, no whole cycles", ".2f"),
            ("propagated optics, 0.8 of whole cycles", "optics, no whole cycles", ".2f"),
            ("propagated optics, divided by an exposure of ones", "optics, gain of one exposure", ".3f"),
            ("propagated optics, gains of two exposures", "optics, gains of two exposures", ".3f"),
            ("`tensor-bench`, four phase steps, one draw", "bench with a reference", ".2f"),
            ("`tensor-bench`, intensity alone, as published", "bench, intensity alone", ".2f"),
        )
    ),
    Claim(
        "`crossbar` {} and {}, coherent light in waveguides {} and {}, `stanford` {} and {}.",
        "products",
        [
            ("ratio", fixed(spec), {"operation": "speed", "device": device, "what": what})
            for device, spec in (("crossbar", ".1f"), ("coherent, in waveguides", ".1f"), ("stanford", ".0f"))
            for what in ("forward", "gradient")
        ],
    ),
    *(
        Claim(
            f"| {text} | " + " | ".join(["{} %"] * 8) + " |",
            "photons",
            [
                (
                    "accuracy",
                    lambda share: f"{100 * share:.1f}",
                    {"training": training, "photons": photons, "seed": None},
                )
                for photons in (0.03, 0.1, 0.3, 0.66, 1.0, 3.0, 10.0, 100.0)
            ],
        )
        for text, training in (("trained exactly", "exact"), ("trained through the noise", "through noise"))
    ),
    Claim(
        "whole plane, they are wrong by {}; with",
        "panels",
        [("error", scientific(1), {"condition": "full scale by a bound"})],
    ),
    Claim(
        "predicts {} and {}. Simulated, such a convolution takes {} µs, on `engine11` {} µs",
        "panels",
        [
            ("predicted", scientific(1), {"condition": "full scale by a bound"}),
            ("predicted", scientific(1), {"condition": "full scale by a meter"}),
            ("microseconds", fixed(".0f"), {"condition": "full scale by a bound"}),
            ("microseconds", fixed(".0f"), {"condition": "engine11, one by one"}),
        ],
    ),
    Claim(
        "departs from its target by {} on 64×64 and {} on 1,024×1,024",
        "panels",
        [
            ("error", scientific(1), {"operation": "retrieval", "side": side, "what": "phase hologram"})
            for side in (64, 1024)
        ],
    ),
    Claim(
        "holds {} times the temporary memory of the exact FFT, and {} times with `ideal_gradient`",
        "memory",
        [
            ("ratio", fixed(".1f"), {"what": name})
            for name in ("noisy device", "noisy device, ideal gradient")
        ],
    ),
    Claim(
        "| 1,024 × 24 convolutions | {} | {} | {} ({} to {}), {} % of it conversion | {} |",
        "ledger",
        [
            ("frames", fixed(","), MANY),
            ("seconds", si("s"), MANY),
            ("joules", si("J"), MANY),
            ("low", si("J"), MANY),
            ("high", si("J"), MANY),
            ("conversion", lambda share: f"{100 * share:.0f}", MANY),
            ("electronic_joules", si("J"), MANY),
        ],
    ),
    Claim(
        "| spectral attention, the same function | {} | {} | {} | {},",
        "ledger",
        [
            ("frames", fixed(","), SPECTRAL),
            ("seconds", si("s"), SPECTRAL),
            ("joules", si("J"), SPECTRAL),
            ("electronic_joules", si("J"), SPECTRAL),
        ],
    ),
    Claim(
        "from {} numbers in a transform on with SimPhony's converters, and from {} on with LightCode's",
        "ledger",
        [
            ("transform_numbers", fixed(",.0f"), GPU | {"converters": "SimPhony"}),
            ("transform_numbers", fixed(",.0f"), GPU | {"converters": "LightCode"}),
        ],
    ),
    Claim(
        "it takes planes of {} numbers",
        "ledger",
        [("convolution_numbers", fixed(".0f"), GPU | {"converters": "SimPhony"})],
    ),
    Claim(
        "digits, 359 test images | noisy `engine11` | {} % ({} to {} %)",
        "accuracy",
        [
            (key, lambda share: f"{100 * share:.1f}", {"data": "digits", "device": "engine11"})
            for key in ("accuracy", "low", "high")
        ],
    ),
    *(
        Claim(
            text,
            "accuracy",
            [("accuracy", lambda share: f"{100 * share:.2f}", {"name": f"imdb-studies/{name}"})],
        )
        for text, name in (
            ("89.97, 89.92, 89.82 % | {} % (", "pairs-conv2d-11x11-engine11"),
            ("the same, exact twin | 90.00, 89.92, 89.84 % | {} % |", "pairs-conv2d-11x11"),
            ("no attention, two epochs | 90.21, 90.69, 90.16 % | {} % |", "pairs-mean"),
        )
    ),
]


@pytest.fixture(scope="module")
def report():
    """The lab report without line breaks."""
    return " ".join((RESULTS / "README.md").read_text(encoding="utf-8").split())


def rows_of(file):
    return json.loads((RESULTS / f"{file}.json").read_text(encoding="utf-8"))["rows"]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.file}: {claim.text[:40]}")
def test_numbers_are_those_of_the_files(claim, report):
    rows = rows_of(claim.file)
    numbers = [form(select(rows, **row)[0][key]) for key, form, row in claim.numbers]
    assert claim.text.format(*numbers) in report


def test_accuracies_are_those_of_the_file(report):
    """Mean, difference from the linear network and its interval, of every variant of the plan."""

    def points(value):
        return f"{value:+.2f}".replace("-", "−")

    for row in rows_of("imdb-cpu/accuracy"):
        entry = f"| {100 * row['accuracy']:.2f} % |"
        if "against" in row:
            low, high = points(row["difference_low"]), points(row["difference_high"])
            entry += f" {points(row['difference_points'])} ({low} to {high}) |"
        assert entry in report, row["name"]


def test_growth_of_memory(report):
    rows = select(rows_of("memory"), operation="training step, compiled")
    powers = {}
    for name in ("linear attention", "lambdas"):
        curve = select(rows, what=name)
        powers[name] = growth_exponent([row["length"] for row in curve], [row["MiB"] for row in curve])
    attention, lambdas = powers.values()
    assert f"length^{attention:.2f} for attention and length^{lambdas:.2f} for lambdas" in report
