"""Icechunk repositories, local or on S3 and Google Cloud: the newest snapshot of a branch, read only."""

import importlib.util
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import xarray as xr

from airmass.core.errors import InputError
from airmass.core.place import Place, is_url
from airmass.data.formats.kind import Kind
from airmass.data.formats.reading import reading
from airmass.data.sources.base import opened
from airmass.data.sources.zarr_store import check_array

# Options in an address, such as icechunk+s3://bucket/prefix?region=us-east-1&anonymous=yes&branch=main.
_OPTIONS = ("branch", "region", "endpoint", "anonymous")


class IcechunkSource:
    """Icechunk through its own package, which the extra `icechunk` brings."""

    kind = Kind.ICECHUNK

    def open(self, place: Place, dask: bool) -> xr.Dataset:
        if importlib.util.find_spec("icechunk") is None:
            raise InputError(f"{place}: an Icechunk repository; to read it, pip install 'airmass[icechunk]'")
        import icechunk
        import zarr

        storage, branch = _storage(place)
        with reading(place):
            store = icechunk.Repository.open(storage).readonly_session(branch).store
            group = zarr.open_group(store, mode="r")
            names = sorted(group.array_keys())
        for name in names:
            with reading(place, name):
                check_array(place, name, group[name])
        chunks: Any = {} if dask else None
        opener = partial(xr.open_zarr, store, decode_timedelta=True, consolidated=False, chunks=chunks)
        dataset = opened(opener, place, lambda: names)
        for field in dataset.variables.values():
            field.encoding.pop("chunks", None)  # by which readers know arrays that they can open by path
        return dataset


SOURCE = IcechunkSource()


def _storage(place: Place) -> tuple[Any, str]:
    """Icechunk's storage, and the branch, of a folder or an address."""
    import icechunk

    if not is_url(place):
        return icechunk.local_filesystem_storage(str(place)), "main"
    parts = urlsplit(str(place))
    options = dict(parse_qsl(parts.query))
    if unknown := set(options) - set(_OPTIONS):
        raise InputError(f"{place}: unknown option {sorted(unknown)[0]!r}, expected {', '.join(_OPTIONS)}")
    anonymous, branch = options.get("anonymous") == "yes", options.get("branch", "main")
    where: dict[str, Any] = {"bucket": parts.netloc, "prefix": parts.path.strip("/") or None}
    if parts.scheme == "icechunk+gs":
        return icechunk.gcs_storage(**where, anonymous=anonymous or None, from_env=not anonymous or None), branch
    endpoint = options.get("endpoint")
    given: dict[str, Any] = {"region": options.get("region"), "endpoint_url": endpoint, "anonymous": anonymous or None}
    given |= {"allow_http": bool(endpoint and endpoint.startswith("http://")), "force_path_style": bool(endpoint)}
    return icechunk.s3_storage(**where, **given, from_env=not anonymous or None), branch
