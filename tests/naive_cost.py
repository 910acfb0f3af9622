"""The slow oracle, cost part: everything that one layer costs. Follow `cost` from top to bottom.

Written from the text of the hardware model (cited as "§n"), independently of the package and sharing no
code with it. Every quantity is a Python integer, every fraction exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naive import Bools, Layer
from naive_overheads import overheads
from naive_problem import DEFAULTS, Chunk, Problem, half_bits, merged
from naive_time import Ledger, recurrence, set_durations, stalls_of


def cost(
    layer: Layer,
    spikes: Bools,
    config: Mapping[str, Any] | None = None,
    weight_bias_nonzero: bool = False,
    *,
    input_kept: bool = False,
    output_may_be_kept: bool = False,
) -> dict[str, Any]:
    """Everything that one convolutional or linear layer costs (§2 to §5, PTB of §7).

    Parameters
    ----------
    layer
        Description of the layer, as in the trace file's ``meta``.
    spikes
        Input spikes ``[C, H, W, T]``; a linear layer also takes ``[N, T]``.
    config
        What differs from `DEFAULTS`.
    weight_bias_nonzero
        Whether the layer's bias has a non-zero entry.
    input_kept
        Whether the layer before left this input in the GLB (``memory.glb.keep_ofmap``).
    output_may_be_kept
        Whether the GLB keeps the output if it fits (``memory.glb.keep_ofmap``, and the next layer takes it).

    Returns
    -------
    dict
        ``mode, positions_per_set, windows_per_block, scopes, output_kept, batches, ntwus, streamed_taps,
        accumulations, lif_updates, compute_cycles, cycles, stalls, pe_busy_cycles, accesses, overheads,
        steps, ends``.

    Raises
    ------
    ValueError
        If a single tap, a single position and window, or a single step does not fit its buffer.
    """
    config = merged(DEFAULTS, config or {})
    problem = Problem(layer, spikes, config, weight_bias_nonzero)
    tws, weight_bits, potential_bits = problem.tws, problem.weight_bits, problem.potential_bits
    size, z = problem.tile_sizes()
    tiles = problem.make_tiles(size, z)
    scopes = problem.scopes(tiles)
    lbuf_group = scopes["lbuf_filter"] == "group"
    glb, unit = config["memory"]["glb"], config["memory"]["zero_tags"] == "unit"
    at_most = room = None  # bits of outputs that the LBUF and the GLB hold
    if config["mapping"]["tile"] == "auto":
        at_most, room = half_bits(config["memory"]["lbuf"], "ofmap"), half_bits(glb, "ofmap")
    # "Active for g" is the union over its tiles; it is the same for every g.
    group_weights = problem.weight_words(len(set().union(*(tile.filter_channels() for tile in tiles))))

    # What the layer stores: the spike bits of every column issued, and every tag.
    columns_issued = sum(len(batch.columns) for tile in tiles for batch in tile.batches)
    stored = problem.M * (columns_issued * tws + problem.P * problem.windows)
    # `tile: layer` is a machine in which everything fits.
    output_kept = output_may_be_kept and (room is None or stored <= room)

    ledger = Ledger(output_kept=output_kept)
    batches = streamed_taps = accumulations = lif_updates = pe_busy = 0

    for first_row in range(0, problem.M, problem.rows):  # row group g
        rho = min(problem.rows, problem.M - first_row)
        last: dict[int, int] = {}  # skipped windows are owed across blocks, within a row group
        first_of_group = True
        for tile in tiles:  # position set s, then time block z
            first_of_tile = True
            untouched = len(tile.positions) * len(tile.windows) - sum(len(b.columns) for b in tile.batches)

            def load(chunk: Chunk) -> None:
                """Start a step with its share of DRAM -> GLB and GLB -> LBUF (§5 SP-MB, Residency)."""
                ledger.new_step()
                own_filters = chunk.weights * rho * weight_bits
                if scopes["glb_filter"] == "group":
                    filters = group_weights * rho * weight_bits if first_of_group else 0
                elif scopes["glb_filter"] == "tile":
                    weights = problem.weight_words(len(tile.filter_channels()))
                    filters = weights * rho * weight_bits if first_of_tile else 0
                else:
                    filters = own_filters
                    if filters > half_bits(glb, "filter"):
                        raise ValueError("the weights of a single step do not fit the GLB's filter half")
                ledger.move("dram", "glb", "filter", filters)
                ifmap = tags = 0
                if scopes["glb_ifmap"] == "layer":
                    if len(ledger.steps) == 1:
                        ifmap, tags = problem.layer_ifmap_bits(tiles)
                elif first_of_tile:
                    ifmap, tags = problem.layer_ifmap_bits([tile])
                if input_kept:  # it is there already
                    ifmap = tags = 0
                ledger.move("dram", "glb", "ifmap", ifmap)
                ledger.move("dram", "glb", "tag", tags)

                if lbuf_group:
                    own_filters = group_weights * rho * weight_bits if first_of_group else 0
                ledger.move("glb", "lbuf", "filter", own_filters)
                ledger.move("glb", "lbuf", "ifmap", chunk.words * tws)
                ledger.move("glb", "lbuf", "tag", chunk.tags)

            if not tile.batches:  # an empty tile is one step that only sends tags
                load(Chunk([], 0, 0, 0))
                ledger.send(0, 0 if unit else rho * untouched, at_most)
                if unit:
                    ledger.keep(rho * untouched)
                first_of_group = False
                continue

            for batch in tile.batches:
                columns = len(batch.columns)
                batches += 1
                slots = 0
                update_cycles, potential_reads, potential_writes = problem.update(batch, last)
                updates = rho * columns * tws
                lif_updates += updates
                batch_cycles = update_cycles

                chunks = problem.make_chunks(batch, rho, lbuf_group)
                for chunk in chunks:
                    load(chunk)
                    first_of_group = first_of_tile = False
                    step = ledger.steps[-1]
                    # §4 counts of the array, per chunk.
                    count = len(chunk.streamed)
                    streamed_taps += count
                    chunk_slots = problem.integration_slots(batch, chunk.streamed)
                    slots += chunk_slots
                    integration = problem.integration(chunk_slots)
                    batch_cycles += integration
                    step["array_cycles"] = integration
                    weight_reads = rho * weight_bits * count
                    spike_reads = tws * sum(len(batch.hits.get(tap, ())) for tap in chunk.streamed)
                    tag_reads = columns * count
                    ledger.read("lbuf", "filter", weight_reads)
                    ledger.read("lbuf", "ifmap", spike_reads)
                    ledger.read("lbuf", "tag", tag_reads)
                    ledger.write("rf", "filter", weight_bits * rho * columns * count)
                    step["lbuf_read_bits"] = weight_reads + spike_reads + tag_reads

                # The update, the potentials and the outputs belong to the batch's last step.
                step = ledger.steps[-1]
                step["array_cycles"] += update_cycles
                read_bits = rho * potential_reads * potential_bits
                write_bits = rho * potential_writes * potential_bits
                ledger.read("lbuf", "psum", read_bits)
                ledger.write("lbuf", "psum", write_bits)
                ledger.write("lbuf", "ofmap", updates)  # one spike bit per update
                step["lbuf_read_bits"] += read_bits
                step["lbuf_write_bits"] += write_bits + updates
                additions = rho * problem.additions(batch, slots)
                accumulations += additions
                accumulated = additions * problem.psum_bits
                ledger.read("rf", "psum", accumulated + updates * (problem.psum_bits + potential_bits))
                ledger.write("rf", "psum", accumulated + updates * potential_bits)
                pe_busy += rho * columns * batch_cycles

                tags = rho * columns
                if problem.skew == "batch":
                    step["array_cycles"] += problem.crossing(rho, columns)
                if batch is tile.batches[-1]:
                    # §4: an end token crosses the array once per tile; §5: the skipped windows' zero tags.
                    if problem.skew == "tile":
                        widest = max(len(other.columns) for other in tile.batches)
                        step["array_cycles"] += problem.crossing(rho, widest)
                    tags += 0 if unit else rho * untouched
                ledger.send(updates, tags, at_most)
                if unit and batch is tile.batches[-1]:
                    ledger.keep(rho * untouched)

    # Outgoing tags enter the LBUF before they leave it: the tag unit writes them, outside of c.
    ledger.write("lbuf", "tag", ledger.sent_tags)

    steps = ledger.steps
    assert sum(step["s_bits"] for step in steps) + ledger.past_the_port == stored
    for step in steps:
        if room is not None and step["s_bits"] > room:
            raise ValueError("the outputs of a single step do not fit the GLB's ofmap half")
        set_durations(step, config)
    ends = recurrence(*([step[key] for step in steps] for key in ("f", "l", "c", "s", "w")))
    return {
        "mode": problem.mode,
        "positions_per_set": size,
        "windows_per_block": z,
        "scopes": scopes,
        "output_kept": output_kept,
        "batches": batches,
        "ntwus": len(problem.active) * problem.M,
        "streamed_taps": streamed_taps,
        "accumulations": accumulations,
        "lif_updates": lif_updates,
        "compute_cycles": sum(step["array_cycles"] for step in steps),
        "cycles": ends[-1][4],
        "stalls": stalls_of(steps, ends),
        "pe_busy_cycles": pe_busy,
        "accesses": ledger.accesses,
        "overheads": overheads(problem, tiles),
        "steps": steps,
        "ends": ends,
    }
