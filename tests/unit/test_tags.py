"""Tags of every granularity on spikes that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spikex_sim.core.field import Inputs, Synapse, field_of, set_pixels, spmb_tags
from spikex_sim.core.geometry import Geometry
from spikex_sim.core.tags import WindowedSpikes, window_spikes

pytestmark = pytest.mark.kernels


def windowed(times: list[list[int]], timesteps: int, tws: int, channels: int = 0) -> WindowedSpikes:
    """Spikes of some neurons, each given by its time points; each is a channel if there are not fewer."""
    spikes = np.zeros((len(times), timesteps), bool)
    for neuron, points in enumerate(times):
        spikes[neuron, points] = True
    packed = np.packbits(spikes, axis=-1)
    return window_spikes(packed.reshape(channels or len(times), -1, packed.shape[-1]), timesteps, tws)


def test_time_points_windows_blocks_and_the_horizon() -> None:
    # T = 10 in windows of 4: 0-3, 4-7, 8-9 and two padded time points.
    spikes = windowed([[0, 3, 9], [], [4, 7]], 10, 4)
    assert spikes.windows == 3
    assert spikes.times.tolist() == [0, 3, 9, 4, 7]
    assert spikes.starts.tolist() == [0, 3, 3, 5]
    assert spikes.per_window().tolist() == [[2, 0, 1], [0, 0, 0], [0, 2, 0]]
    assert spikes.counts.tolist() == [[2, 2, 1]]
    assert spikes.window_tags().tolist() == [[True, False, True], [False] * 3, [False, True, False]]
    assert spikes.block_tags(2).tolist() == [[True, True], [False, False], [True, False]]
    assert spikes.stride_tags().tolist() == [True, False, True]


@pytest.mark.parametrize("timesteps", [1, 7, 8, 9, 17])
@pytest.mark.parametrize("tws", [1, 2, 8, 20])
def test_the_first_and_the_last_time_point(timesteps: int, tws: int) -> None:
    spikes = windowed([[0], [timesteps - 1]], timesteps, tws)
    assert spikes.windows == -(-timesteps // tws)
    tags = spikes.window_tags()
    assert tags.sum() == 2
    assert tags[0, 0]
    assert tags[1, (timesteps - 1) // tws]


def test_bits_beyond_the_horizon_are_no_spikes() -> None:
    # The packed byte holds bits 5 to 7 after T = 5.
    spikes = window_spikes(np.array([[0b00001111]], np.uint8), 5, 2)
    assert spikes.per_window().tolist() == [[0, 0, 1]]
    assert spikes.times.tolist() == [4]


# One 3x3 map; 2x2 filter, stride 1, a padding of 1 on the left and right only: output 2x4.
GEOMETRY = Geometry(2, 3, 3, 2, 2, 1, 1, 0, 1, 2, 4)
# The same output from another map: 2x8, of which a 1x1 filter sees every second column.
COARSE = Geometry(1, 2, 8, 1, 1, 1, 2, 0, 0, 2, 4)


def inputs_of(*given: tuple[Geometry, list[list[int]]]) -> Inputs:
    """Inputs of synapses, each with the time points of its neurons; T = 4 in windows of 2."""
    spikes = tuple(windowed(times, 4, 2, geometry.channels) for geometry, times in given)
    synapses = tuple(Synapse(geometry, number) for number, (geometry, _) in enumerate(given))
    return Inputs(synapses, spikes, 8, 4, 2)


def pixels_of_sets(size: int, *geometries: Geometry) -> list[list[int]]:
    """Pixels in the receptive field of each set of so many positions, synapse by synapse."""
    field = field_of(tuple(map(Synapse, geometries)), geometries[0].positions)
    return set_pixels(field, len(geometries), size).tolist()


def test_activity_of_receptive_fields() -> None:
    times: list[list[int]] = [[] for _ in range(18)]
    times[2] = [0]  # channel 0, pixel (0, 2)
    times[9 + 7] = [3]  # channel 1, pixel (2, 1)
    inputs = inputs_of((GEOMETRY, times))
    # Output (r, c) sees rows r, r + 1 and columns c - 1, c: pixel (0, 2) is seen by (0, 2) and (0, 3);
    # pixel (2, 1) by (1, 1) and (1, 2).
    assert np.argwhere(inputs.active[:, 0]).ravel().tolist() == [2, 3]
    assert np.argwhere(inputs.active[:, 1]).ravel().tolist() == [5, 6]
    assert inputs.reach.tolist() == [4]


def test_activity_of_several_synapses() -> None:
    fine: list[list[int]] = [[] for _ in range(18)]
    fine[2] = [0]  # as above: seen by positions 2 and 3 in window 0
    coarse: list[list[int]] = [[] for _ in range(16)]
    coarse[8 + 2] = [0, 1, 3]  # pixel (1, 2), seen by position (1, 1) alone
    coarse[5] = [0]  # pixel (0, 5), seen by none
    inputs = inputs_of((GEOMETRY, fine), (COARSE, coarse))
    assert np.argwhere(inputs.active[:, 0]).ravel().tolist() == [2, 3, 5]
    assert np.argwhere(inputs.active[:, 1]).ravel().tolist() == [5]
    assert inputs.reach.tolist() == [2, 3]
    assert inputs.taps == 8 + 1


def test_pixels_of_position_sets_are_a_union_inside_the_map() -> None:
    # Position 0 sees column 0 of rows 0 and 1: 2 pixels; 1 and 2 see two columns, 3 sees column 2.
    assert pixels_of_sets(1, GEOMETRY) == [[2, 4, 4, 2, 2, 4, 4, 2]]
    assert pixels_of_sets(2, GEOMETRY) == [[4, 4, 4, 4]]
    # Positions 0 to 2 see rows 0 and 1 wholly, 3 to 5 column 2 of those and columns 0, 1 of rows 1 and 2:
    # pixels (0, 2), (1, 2), (1, 0), (1, 1), (2, 0), (2, 1); positions 6 and 7 rows 1 and 2, columns 1 and 2.
    assert pixels_of_sets(3, GEOMETRY) == [[6, 6, 4]]
    assert pixels_of_sets(8, GEOMETRY) == [[9]]
    assert pixels_of_sets(3, GEOMETRY, COARSE) == [[6, 6, 4], [3, 3, 2]]


def test_pixels_are_no_bounding_box() -> None:
    # A 1x1 filter with stride 2 on a 3x3 map touches 4 pixels, its bounding box has 9.
    assert pixels_of_sets(4, Geometry(1, 3, 3, 1, 1, 2, 2, 0, 0, 2, 2)) == [[4]]


def test_dilated_filters_see_every_so_many_pixels() -> None:
    # 3x3 map, 2x2 filter of which the taps lie 2 apart: one position that sees the corners.
    dilated = Geometry(1, 3, 3, 2, 2, 1, 1, 0, 0, 1, 1, 2, 2)
    assert field_of((Synapse(dilated),), 1).place.tolist() == [[0, 2, 6, 8]]
    assert pixels_of_sets(1, dilated) == [[4]]


def test_tags_of_spmbs() -> None:
    times: list[list[int]] = [[] for _ in range(18)]
    times[0] = [3]  # channel 0, pixel (0, 0), window 1
    times[9 + 8] = [0]  # channel 1, pixel (2, 2), window 0
    coarse: list[list[int]] = [[] for _ in range(16)]
    coarse[6] = [2]  # pixel (0, 6), which position 3 sees, window 1
    coarse[7] = [0]  # seen by none
    inputs = inputs_of((GEOMETRY, times), (COARSE, coarse))
    tiles = np.array([[0, 4, 0, 1], [0, 4, 1, 2], [4, 8, 0, 1], [4, 8, 0, 2], [0, 8, 0, 2]])
    active, pixels = spmb_tags(inputs.field, 2, inputs.tags, inputs.counts, tiles)
    # Positions 0 to 3 see rows 0 and 1, positions 4 to 7 rows 1 and 2.
    first = [[False, False], [True, False], [False, True], [False, True], [True, True]]
    assert active[:, :2].tolist() == first
    assert active[:, 2].tolist() == [False, True, False, False, True]
    assert pixels.tolist() == [[6, 4], [6, 4], [6, 4], [6, 4], [9, 8]]
