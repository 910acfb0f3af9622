"""Command that runs labelled recordings through a trained network: evaluate."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikex_sim.cli.options import (
    Archs,
    Engine,
    Jobs,
    Out,
    Settings,
    parse_settings,
    results_folder,
    split_names,
    wrote,
)

if TYPE_CHECKING:
    from spikex_sim.explore.evaluation import EvaluatedLayer, EvaluatedSample, Evaluation
    from spikex_sim.explore.trained_inputs import Trained
    from spikex_sim.sources.samples import LabelledSamples

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Labelled recordings or traces, file or folder; default: emulated.", metavar="FILE"
    ),
]

Part = Annotated[str, typer.Option("--split", help="Samples of marked recordings.", metavar="train|test|all")]
SampleStep = Annotated[
    float | None,
    typer.Option("--step-ms", help="Length of a time point; default: as trained.", metavar="MS"),
]


def evaluate(
    network: Annotated[
        str, typer.Argument(help="Network with shipped weights, or a file of weights (.npz).")
    ],
    variant: Annotated[
        str | None,
        typer.Option("--variant", help="Of base, ht, has; default base.", metavar="NAME"),
    ] = None,
    data: Data = None,
    split: Part = "test",
    step_ms: SampleStep = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Most samples; emulated: 20.")] = None,
    arch: Archs = "spikex",
    tws: Annotated[
        str | None,
        typer.Option("--tws", help="Window size, one a layer, or auto.", metavar="N|N1,N2,...|auto"),
    ] = None,
    settings: Settings = None,
    engine: Engine = "fast",
    jobs: Jobs = 1,
    out: Out = None,
) -> None:
    """Accuracy and cost of a trained network on accelerators.

    A network of the variant has runs with the window sizes that were searched for it; all else with the
    accelerator's own, where --tws does not say. The class of a sample is the output neuron with the most
    spikes, the lowest of several.

    Example: spikex-sim evaluate nmnist --variant has --arch spikex,ptb --limit 100
    """
    names = split_names(arch, "--arch")
    window = None if tws is None else f"[{tws}]" if "," in tws else tws
    overrides = parse_settings(settings, window)
    from spikex_sim.cli import show

    show.log_to_terminal()
    from spikex_sim.cli.sweep import counting_bar
    from spikex_sim.core.files import write_files
    from spikex_sim.explore.evaluation import evaluate as run
    from spikex_sim.explore.trained_inputs import as_network, as_samples
    from spikex_sim.spec.load import load_accelerator

    with results_folder(out):
        accelerators = [load_accelerator(name, overrides) for name in names]
        trained = as_network(network, variant)
        samples = as_samples(trained, data, split=split, step_ms=step_ms, limit=limit)
        found = []
        for accelerator in accelerators:
            with counting_bar() as progress:
                found.append(
                    run(
                        trained, samples, accelerator, tws=overrides.get("tws"), engine=engine, jobs=jobs,
                        progress=progress,
                    )
                )  # fmt: skip
        _show(trained, samples, found)
        if out is not None:
            import json

            content = _content(trained, samples, found, engine)
            wrote(write_files(out, {"evaluate.json": json.dumps(content, indent=1) + "\n"}))


def _show(trained: Trained, samples: LabelledSamples, found: list[Evaluation]) -> None:
    from rich.markup import escape

    from spikex_sim.cli import show
    from spikex_sim.explore.evaluation_tables import evaluation_tables

    show.say(f"[bold]{escape(trained.name)}[/]: {escape(samples.source)}\n")
    if "data" in trained.card:
        show.say(f"trained on {escape(str(trained.card['data']))}\n")
    for one in found:
        if one.software_accuracy is not None:
            show.say(
                f"correct on the arrays of {escape(one.arch.name)}: {_right(one.accuracy, samples)}; "
                f"in software: {_right(one.software_accuracy, samples)}\n"
            )
    exact = [one for one in found if one.software_accuracy is None]
    if exact:
        show.say(f"correct: {_right(exact[0].accuracy, samples)}\n")
    for text in dict.fromkeys(text for one in found for text in one.remarks):
        show.note(text + "\n")
    if "data" in trained.card:
        learned, asked = ("emulated" in str(text) for text in (trained.card["data"], samples.source))
        if learned != asked:
            kinds = ("recordings", "emulated samples")
            hint = "; --data FILE takes recordings (docs/recordings.md)" if asked else ""
            show.say(
                f"[yellow]the weights learned from {kinds[learned]} and were asked about {kinds[asked]}, "
                f"which they know badly: this is not the accuracy of the network{hint}[/]\n"
            )
    show.put(*evaluation_tables(found))


def _known(one: EvaluatedLayer | EvaluatedSample) -> dict[str, Any]:
    """Figures by name, without those that only arrays that are not ideal have."""
    return {name: value for name, value in asdict(one).items() if value is not None}


def _right(accuracy: float, samples: LabelledSamples) -> str:
    return f"{round(accuracy * len(samples))} of {len(samples)}, {100 * accuracy:.2f} %"


def _content(
    trained: Trained, samples: LabelledSamples, found: list[Evaluation], engine: str
) -> dict[str, Any]:
    """As in ``evaluate.json``."""
    from spikex_sim.core.origin import origin
    from spikex_sim.explore.evaluation import SCHEMA

    return {
        "schema": SCHEMA,
        "versions": dict(found[0].versions) | origin(),
        "network": {
            "name": trained.name,
            "variant": getattr(trained, "variant", None),
            "sha256": trained.file_sha256,
            "card": dict(trained.card),
        },
        "data": {"source": samples.source, "sha256": samples.sha256, "samples": len(samples)},
        "runs": [
            {
                "arch": one.arch.name,
                "engine": engine,
                "config": one.arch.model_dump(mode="json"),
                "tws": list(one.tws),
                "accuracy": one.accuracy,
                **({} if one.software_accuracy is None else {"software_accuracy": one.software_accuracy}),
                **{
                    statistic: {
                        quantity: getattr(one, statistic)(quantity)
                        for quantity in ("cycles", "seconds", "energy_pj", "energy_on_chip_pj", "edp_js")
                    }
                    for statistic in ("mean", "median")
                },
                "layers": [_known(layer) for layer in one.layers],
                "samples": [_known(sample) for sample in one.samples],
            }
            for one in found
        ],
    }
