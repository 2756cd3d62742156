"""Fields by valid time: read once, and forgotten."""

import numpy as np

from airmass.evaluation.field_cache import FieldCache


def test_frames_are_read_once_and_forgotten():
    times = np.datetime64("2000-01-01", "ns") + np.arange(10) * np.timedelta64(6, "h")
    reads = []

    def read(wanted):
        reads.extend(wanted)
        return np.searchsorted(times, wanted)[:, None, None].astype(np.float32)

    frames = FieldCache(read, times, frame_bytes=1 << 27)  # two at once
    np.testing.assert_array_equal(frames.at(times[[3, 0, 5]])[:, 0, 0], [3, 0, 5])
    np.testing.assert_array_equal(frames.at(times[:7])[:, 0, 0], np.arange(7))
    assert len(reads) == len(set(reads))
    frames.forget_before(times[4])
    frames.at(times[4:5])
    assert len(reads) == len(set(reads))
