"""Profiles from the command line: spikes of some samples, packets on others, and what files say of them."""

from __future__ import annotations

import csv
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import graphs as small
import spikex_sim as sx
from command import is_mistake, spikex, succeed
from spikex_sim.explore.mapping import profile as profiles
from spikex_sim.explore.mapping.profile import choose_samples, profile_of, spikes_of, trains_of
from spikex_sim.explore.mapping.reading import read_network
from spikex_sim.mapped.graph import Lists
from spikex_sim.mapped.unroll import unrolled
from unrolling import chain, layers_of_two

SAMPLES, SHARE, SEED = 6, 0.3, 5


def network_of(samples: int, seed: int = 3) -> sx.Trace:
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-9, 10, (2, 1, 3, 3), np.int8), rng.integers(-9, 10, (3, 18), np.int8)]
    return chain(layers_of_two(), weights, lead=(samples,))


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Six samples in a file, and each in one of a folder."""
    whole = network_of(SAMPLES)
    sx.save_trace(whole, tmp_path / "six.npz")
    weights = [whole.weights[0], whole.weights[1]]
    (tmp_path / "folder").mkdir()
    for sample in range(SAMPLES):
        one = sx.Trace.from_arrays(layers_of_two(), whole.spikes(0)[sample], weights=weights)
        sx.save_trace(one, tmp_path / "folder" / f"{sample}.npz")
    pool = {"types": [{"inputs": 9, "outputs": 4}, {"inputs": 4, "outputs": 8}]}
    (tmp_path / "pool.json").write_text(json.dumps(pool))
    return tmp_path / "six.npz"


def run(capsys: pytest.CaptureFixture[str], trace: Path, *options: Any) -> str:
    return succeed(
        capsys, "map", trace, "--objective", "packets", "--engine", "anneal", "--steps", 2000, "--pool",
        trace.parent / "pool.json", "--seed", SEED, *options,
    ).out  # fmt: skip


def packets(mapping: dict[str, Any], edges: list[list[int]], spikes: NDArray[np.int64]) -> int:
    """Packets of a sample by the text: each spike goes to crossbars that take it and do not have the node."""
    own: dict[int, set[int]] = {}
    for k, i in edges:
        own.setdefault(i, set()).add(k)
    for one in mapping["splits"]:
        own[one["neuron"]] -= set(one["sources"])
        own[one["column"]] = set(one["sources"])
    return sum(
        int(spikes[k])
        for one in mapping["crossbars"]
        for k in set().union(*(own.get(column, set()) for column in one["neurons"])) - set(one["neurons"])
    )


def test_a_profile_is_counted_and_held_against_other_samples(
    capsys: pytest.CaptureFixture[str], trace: Path
) -> None:
    out = trace.parent / "o"
    text = run(capsys, trace, "--profile", trace, "--profile-share", SHARE, "--mesh", "auto", "--out", out)
    assert "without a profile" not in text
    network = read_network(trace)
    each = list(spikes_of(network, trace))
    seen, others = choose_samples(SAMPLES, SHARE, SEED)
    assert (len(seen), len(others)) == (2, 4)
    file, mapping = (json.loads((out / name).read_text()) for name in ("network.json", "mapping.json"))
    assert file["spikes"] == (each[seen[0]] + each[seen[1]]).tolist()
    rows = list(csv.DictReader((out / "heldout.csv").read_text().splitlines()))
    wanted = [packets(mapping, file["edges"], one) for one in each]
    assert [(int(row["sample"]), int(row["packets"]), int(row["profile"])) for row in rows] == [
        (sample, wanted[sample], int(sample in seen)) for sample in range(SAMPLES)
    ]
    metrics, rest = mapping["metrics"], [wanted[sample] for sample in others]
    assert len(set(rest)) > 1
    assert metrics["packets_global"] == mapping["stages"][1]["value"] == sum(wanted[one] for one in seen)
    assert (metrics["profile"], metrics["profile_samples"], metrics["heldout_samples"]) == ("held out", 2, 4)
    assert metrics["packets_heldout_mean"] == pytest.approx(statistics.mean(rest))
    assert metrics["packets_heldout_sd"] == pytest.approx(statistics.stdev(rest))
    said = " ".join(text.split())
    assert (
        f"2 samples: {metrics['packets_global']:,}; on each of 4 held out: {statistics.mean(rest):,.1f}"
        in said
    )
    assert succeed(capsys, "map", "verify", out).out == "ok\n"
    assert succeed(capsys, "map", "verify", out, trace).out == "ok\n"


def test_sums_are_packets_at_the_time_points_at_which_a_source_spikes(
    capsys: pytest.CaptureFixture[str], trace: Path
) -> None:
    """The last layer has 18 inputs, of which a crossbar takes 9."""
    out = trace.parent / "o"
    run(capsys, trace, "--profile", trace, "--profile-share", SHARE, "--out", out)
    mapping = json.loads((out / "mapping.json").read_text())
    seen = choose_samples(SAMPLES, SHARE, SEED).profile
    trains = list(trains_of(read_network(trace), trace))
    assert {one["neuron"] for one in mapping["splits"]} == {18, 19, 20}
    home = {column: j for j, one in enumerate(mapping["crossbars"]) for column in one["neurons"]}
    total = 0
    for one in mapping["splits"]:
        bits = [np.unpackbits(trains[sample][one["sources"]], axis=-1) for sample in seen]
        assert one["packets"] == sum(int(each.any(axis=0).sum()) for each in bits)
        total += one["packets"] * (home[one["column"]] != home[one["neuron"]])
    assert mapping["metrics"]["psum_packets"] == total > 0


def test_a_folder_of_samples_is_a_profile_as_one_file_is(
    capsys: pytest.CaptureFixture[str], trace: Path
) -> None:
    texts = []
    for name in ("six.npz", "folder"):
        out = trace.parent / f"of-{name}"
        run(capsys, trace, "--profile", trace.parent / name, "--profile-share", SHARE, "--out", out)
        texts.append([(out / file).read_text() for file in ("heldout.csv", "network.json")])
    assert texts[0] == texts[1]


@pytest.mark.parametrize("share", [None, 1])
def test_a_profile_of_all_samples_is_held_against_none(
    capsys: pytest.CaptureFixture[str], trace: Path, share: int | None
) -> None:
    out, options = trace.parent / "o", [] if share is None else ["--profile-share", share]
    source = trace.parent / "folder" / "0.npz" if share is None else trace
    text = " ".join(run(capsys, trace, "--profile", source, *options, "--out", out).split())
    assert "profile: same, no sample is left to hold it against" in text
    metrics = json.loads((out / "mapping.json").read_text())["metrics"]
    assert (metrics["profile"], metrics["heldout_samples"]) == ("same", 0)
    assert metrics["packets_heldout_mean"] is metrics["packets_heldout_sd"] is None
    rows = list(csv.DictReader((out / "heldout.csv").read_text().splitlines()))
    assert {row["profile"] for row in rows} == {"1"} and len(rows) == metrics["profile_samples"]
    assert sum(int(row["packets"]) for row in rows) == metrics["packets_global"]


def test_one_sample_held_out_has_no_deviation(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sx.save_trace(network_of(2), tmp_path / "two.npz")
    found = sx.map_network(
        tmp_path / "two.npz", "table2", engine="anneal", steps=100, profile=tmp_path / "two.npz"
    )
    assert found.heldout is not None and found.heldout.deviation == 0
    assert found.metrics["heldout_samples"] == 1
    network = sx.load_network(tmp_path / "two.npz")
    assert not network.profiled and sx.verify_mapping(found, network) == []


def test_packets_follow_the_profile() -> None:
    """Of two mappings of one area, that of the profile has fewer of its packets."""
    trace = network_of(4)
    network = unrolled(trace)
    pool = sx.Pool.of("pool", {"types": [{"inputs": 18, "outputs": 3, "count": 7}]})
    keys: dict[str, Any] = {
        "objective": "packets",
        "engine": "anneal",
        "steps": 30_000,
        "area_budget": "none",
    }
    blind, seen = (
        sx.map_network(network, pool, profile=one, profile_share=share, **keys)
        for one, share in ((None, None), (trace, 1))
    )
    assert not blind.network.profiled and seen.network.profiled
    node, crossbar = blind.mapping.flows
    homes = np.concatenate([blind.mapping.home, np.full(network.graph.external, -1)])
    spikes = seen.network.spikes[node[homes[node] != crossbar]]
    assert seen.metrics["packets_global"] < int(spikes.sum())


def test_the_same_files_on_one_and_two_jobs(capsys: pytest.CaptureFixture[str], trace: Path) -> None:
    texts = []
    for jobs in (1, 2):
        out = trace.parent / f"o{jobs}"
        run(capsys, trace, "--profile", trace, "--jobs", jobs, "--out", out)
        mapping = json.loads((out / "mapping.json").read_text())
        for stage in mapping["stages"]:
            stage["seconds"] = 0
        texts.append([mapping, (out / "heldout.csv").read_text(), (out / "network.json").read_text()])
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--profile", "six.npz", "--profile-share", "0"], ["--profile-share", "above 0"]),
        (["--profile", "six.npz", "--profile-share", "nan"], ["--profile-share", "above 0"]),
        (["--profile-share", "0.5"], ["--profile-share", "--profile, which is not given"]),
        (["--profile", "missing.npz"], ["missing.npz"]),
        (["--profile", "other.npz"], ["other", "is of another network"]),
        (["--profile", "pool.json"], ["pool.json"]),
    ],
)
def test_wrong_profiles(
    capsys: pytest.CaptureFixture[str], trace: Path, monkeypatch: pytest.MonkeyPatch,
    options: list[str], words: list[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(trace.parent)
    layers = layers_of_two()
    layers[0] |= {"in_height": 6, "in_width": 6}
    layers[1] |= {"in_channels": 32}
    sx.save_trace(chain(layers, [np.ones((2, 1, 3, 3), np.int8), np.ones((3, 32), np.int8)]), "other.npz")
    is_mistake(spikex(capsys, "map", "six.npz", "--steps", 10, "--out", "o", *options), *words)
    assert not Path("o").exists()


def test_a_graph_has_no_samples(capsys: pytest.CaptureFixture[str], trace: Path) -> None:
    is_mistake(spikex(capsys, "map", "gen:A", "--profile", trace), "--profile", "the network has no layers")


def test_analog_inputs_count_where_they_are_not_zero() -> None:
    values = np.array([[[0]], [[3]], [[0]]], np.int32)
    image = {"name": "in", "kind": "input", "shape": [3, 1, 1], "values": {"bits": 8, "constant": True}}
    network = small.network(
        [image, small.population([{"from": "in", "kind": "linear"}], 2)],
        9, {"in/values": values, "out/synapse-0/weight": np.ones((2, 3), np.int8)},
    )  # fmt: skip
    found = profile_of(unrolled(small.packaged(network)), small.packaged(network), [0])
    assert found.spikes[2:].tolist() == [0, 9, 0]


def test_sums_of_many_parts_are_counted_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = network_of(3)
    network = unrolled(trace)
    rng = np.random.default_rng(2)
    sizes = rng.integers(1, 9, 40)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    parts = Lists(starts, rng.integers(0, network.graph.nodes, int(starts[-1])))
    whole = profile_of(network, trace, range(3), parts)
    bits = [np.unpackbits(one, axis=-1) for one in trains_of(network, trace)]
    wanted = [sum(int(one[parts.of(at)].any(axis=0).sum()) for one in bits) for at in range(40)]
    assert whole.sums.tolist() == wanted
    for width in (1, 5, 20):
        monkeypatch.setattr(profiles, "_AT_A_TIME", width)
        assert profile_of(network, trace, range(3), parts).sums.tolist() == wanted
