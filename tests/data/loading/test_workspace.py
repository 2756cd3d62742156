"""Memory that is used again, with channels where the cache can hold them side by side."""

import threading

import numpy as np
import pytest

from airmass.data.loading.workspace import Workspace


@pytest.mark.parametrize(("rows", "columns"), [(32, 64), (121, 240), (1, 16), (3, 5)])
def test_channels_lie_an_odd_number_of_cache_lines_apart(rows, columns):
    array = Workspace().array(2, 3, rows, columns)
    assert array.shape == (2, 3, rows, columns)
    lines, rest = divmod(array.strides[1], 64)
    assert rest == 0 and lines % 2 == 1 and 4 * rows * columns <= 64 * lines < 4 * rows * columns + 128


def test_a_thread_has_its_memory_again_and_to_itself():
    workspace, seen = Workspace(), []
    first = workspace.array(2, 3, 4, 5)
    assert np.shares_memory(first, workspace.array(1, 3, 4, 5))
    thread = threading.Thread(target=lambda: seen.append(workspace.array(2, 3, 4, 5)))
    thread.start()
    thread.join()
    assert not np.shares_memory(first, seen[0])


def test_large_memory_is_not_kept():
    workspace = Workspace()
    large = workspace.array(65, 1, 512, 512)
    assert not np.shares_memory(large, workspace.array(1, 1, 4, 4))
