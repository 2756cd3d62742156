"""Icechunk repositories as data for training and ingest; bad addresses and a missing package are one line."""

import importlib.util

import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.data.formats.kind import Kind, kind_of
from airmass.data.formats.opening import open_unchecked
from airmass.data.formats.store import open_store
from airmass.data.ingest.ingest import ingest
from airmass.data.ingest.request import IngestRequest
from airmass.data.loading.frames import Frames
from airmass.fields.channels import ChannelLayout
from airmass.fields.task import Task
from tests.data.sources.test_contract import archive, icechunk_repository


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return icechunk_repository(tmp_path_factory.mktemp("icechunk") / "repository")


def test_frames_and_ingest_read_it(repository, tmp_path):
    task = Task(("temperature", "2m_temperature"), (), (), (), (300, 500, 850), history=1)
    frames, expected = Frames(repository, task), archive()
    layout = ChannelLayout.of(task.targets, task.levels)
    np.testing.assert_array_equal(frames.at(expected.time.values), layout.pack(expected))
    frames.require_unchanged()
    ingest(IngestRequest((repository,)), tmp_path / "out.zarr")
    np.testing.assert_array_equal(open_store(tmp_path / "out.zarr", dask=False).temperature, expected.temperature)


def test_addresses_are_told_by_their_scheme():
    assert kind_of("icechunk+s3://bucket/prefix?region=us-east-1") is Kind.ICECHUNK
    assert kind_of("s3://bucket/prefix") is Kind.ZARR
    with pytest.raises(InputError, match="unknown option 'regoin', expected branch, region, endpoint, anonymous"):
        open_unchecked("icechunk+s3://bucket/prefix?regoin=x")
    with pytest.raises(InputError, match="names no bucket"):
        kind_of("icechunk+s3:///prefix")
    with pytest.raises(InputError, match=r"icechunk\+s3://b/p\S*: .*cannot be read"):
        open_unchecked("icechunk+s3://b/p?endpoint=http://127.0.0.1:9&region=us-east-1&anonymous=yes")


def test_without_its_package_one_line_names_the_extra(repository, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"repository: an Icechunk repository; .*airmass\[icechunk\]"):
        open_unchecked(repository)
