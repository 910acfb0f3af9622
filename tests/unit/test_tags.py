"""Tags of every granularity on spikes that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spikex_sim.core.geometry import Geometry, set_pixels
from spikex_sim.core.tags import WindowedSpikes, receptive_activity, spmb_tags, window_spikes

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


def test_activity_of_receptive_fields() -> None:
    times: list[list[int]] = [[] for _ in range(18)]
    times[2] = [0]  # channel 0, pixel (0, 2)
    times[9 + 7] = [3]  # channel 1, pixel (2, 1)
    active = receptive_activity(GEOMETRY, windowed(times, 4, 2, 2))
    # Output (r, c) sees rows r, r + 1 and columns c - 1, c: pixel (0, 2) is seen by (0, 2) and (0, 3);
    # pixel (2, 1) by (1, 1) and (1, 2).
    assert np.argwhere(active[:, 0]).ravel().tolist() == [2, 3]
    assert np.argwhere(active[:, 1]).ravel().tolist() == [5, 6]


def test_pixels_of_position_sets_are_a_union_inside_the_map() -> None:
    # Position 0 sees column 0 of rows 0 and 1: 2 pixels; 1 and 2 see two columns, 3 sees column 2.
    assert set_pixels(GEOMETRY, 1).tolist() == [2, 4, 4, 2, 2, 4, 4, 2]
    assert set_pixels(GEOMETRY, 2).tolist() == [4, 4, 4, 4]
    # Positions 0 to 2 see rows 0 and 1 wholly, 3 to 5 column 2 of those and columns 0, 1 of rows 1 and 2:
    # pixels (0, 2), (1, 2), (1, 0), (1, 1), (2, 0), (2, 1); positions 6 and 7 rows 1 and 2, columns 1 and 2.
    assert set_pixels(GEOMETRY, 3).tolist() == [6, 6, 4]
    assert set_pixels(GEOMETRY, 8).tolist() == [9]


def test_pixels_are_no_bounding_box() -> None:
    # A 1x1 filter with stride 2 on a 3x3 map touches 4 pixels, its bounding box has 9.
    assert set_pixels(Geometry(1, 3, 3, 1, 1, 2, 2, 0, 0, 2, 2), 4).tolist() == [4]


def test_tags_of_spmbs() -> None:
    times: list[list[int]] = [[] for _ in range(18)]
    times[0] = [3]  # channel 0, pixel (0, 0), window 1
    times[9 + 8] = [0]  # channel 1, pixel (2, 2), window 0
    spikes = windowed(times, 4, 2, 2)
    tiles = np.array([[0, 4, 0, 1], [0, 4, 1, 2], [4, 8, 0, 1], [4, 8, 0, 2], [0, 8, 0, 2]])
    active, pixels = spmb_tags(GEOMETRY, spikes.tags, spikes.counts, tiles)
    # Positions 0 to 3 see rows 0 and 1, positions 4 to 7 rows 1 and 2.
    assert active.tolist() == [[False, False], [True, False], [False, True], [False, True], [True, True]]
    assert pixels.tolist() == [6, 6, 6, 6, 9]
