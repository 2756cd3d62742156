"""Arrays of model files, of published checkpoints and of the statistics beside them."""

import io
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from airmass.core.files import write_arrays
from tests.border.case import Case, Make
from tests.border.healthy import Home

Flat = dict[str, np.ndarray]
WITH = ("inspect", "forecast with")
PARAMETER = "params:encoder.embed_grid.layers.0.weight"
SCALE = "scales:target_scale"
PUBLISHED = "params:mesh_gnn/~_networks_builder/processor_edges_0_mesh_mlp/~/linear_0:w"


def with_arrays(change: Callable[[Flat], object], source: str = "model") -> Make:
    """A copy of a model file whose arrays were changed in place."""

    def make(home: Home, folder: Path) -> Path:
        with np.load(_source(home, source)) as held:
            flat = dict(held)
        change(flat)
        write_arrays(folder / "bad.npz", flat)
        return folder / "bad.npz"

    return make


def with_bytes(change: Callable[[Path], object], source: str = "model") -> Make:
    """A copy of a model file whose bytes were changed."""

    def make(home: Home, folder: Path) -> Path:
        shutil.copyfile(_source(home, source), folder / "bad.npz")
        change(folder / "bad.npz")
        return folder / "bad.npz"

    return make


def _source(home: Home, source: str) -> Path:
    return home.model if source == "model" else home.golden / "checkpoint.npz"


def _one(name: str, value) -> Callable[[Flat], None]:
    """Another value at the first place of an array."""

    def change(flat: Flat) -> None:
        flat[name] = flat[name].copy()
        flat[name].flat[0] = value

    return change


def _as(name: str, of: Callable[[np.ndarray], np.ndarray]) -> Callable[[Flat], None]:
    return lambda flat: flat.update({name: of(flat[name])})


def _parameter(flat: Flat) -> str:
    """The first parameter of two dimensions, in any file."""
    return next(name for name, value in flat.items() if name.startswith("params:") and value.ndim >= 2)


def _first(of: Callable[[np.ndarray], np.ndarray]) -> Callable[[Flat], None]:
    return lambda flat: flat.update({_parameter(flat): of(flat[_parameter(flat)])})


def _nan(value: np.ndarray) -> np.ndarray:
    out = value.astype(np.float32)
    out.flat[0] = np.nan
    return out


def _inf(value: np.ndarray) -> np.ndarray:
    out = value.astype(np.float32)
    out.flat[-1] = np.inf
    return out


def _huge(value: np.ndarray) -> np.ndarray:
    return np.full(value.shape, 1e300)


_ARRAYS: dict[str, Callable[[Flat], object]] = {
    "NaN among the parameters": _first(_nan),
    "infinite parameter": _first(_inf),
    "parameters of text": _first(lambda value: value.astype(str)),
    "parameters of integers": _first(lambda value: value.astype(np.int64)),
    "complex parameters": _first(lambda value: value.astype(np.complex64)),
    "parameters of dates": _first(lambda value: np.zeros(value.shape, "datetime64[s]")),
    "parameters beyond float32": _first(_huge),
    "parameters of another shape": _first(lambda value: value[:-1]),
    "parameters transposed": _first(lambda value: np.ascontiguousarray(value.T)),
    "a parameter too few": lambda flat: flat.pop(_parameter(flat)),
    "a parameter too many": lambda flat: flat.update({"params:colour": np.zeros(3, np.float32)}),
    "no parameters": lambda flat: [flat.pop(name) for name in list(flat) if name.startswith("params:")],
}
_OURS: dict[str, tuple[Callable[[Flat], object], str]] = {
    "NaN among the scales": (_one(SCALE, np.nan), "target_scale"),
    "a scale of zero": (_one(SCALE, 0.0), "target_scale"),
    "a scale below zero": (_one(SCALE, -1.0), "target_scale"),
    "an infinite scale": (_one(SCALE, np.inf), "target_scale"),
    "scales of text": (_as(SCALE, lambda value: value.astype(str)), "target_scale"),
    "NaN latitude": (_one("latitude", np.nan), "latitude"),
    "latitude falling": (_as("latitude", lambda value: value[::-1]), "latitude"),
    "latitude of text": (_as("latitude", lambda value: value.astype(str)), "latitude"),
    "latitude in a square": (_as("latitude", lambda value: np.stack([value, value])), "latitude"),
    "longitude complex": (_as("longitude", lambda value: value.astype(complex)), "longitude"),
    "no longitude": (lambda flat: flat.pop("longitude"), "longitude"),
    "no fill": (lambda flat: flat.pop("fill"), "fill"),
    "fill too long": (_as("fill", lambda value: np.append(value, value)), "fill"),
    "fill infinite": (_one("fill", np.inf), "fill"),
    "fill of text": (_as("fill", lambda value: value.astype(str)), "fill"),
    "an array that nobody knows": (lambda flat: flat.update(colour=np.zeros(3)), "colour"),
    "settings as a number": (lambda flat: flat.update(json=np.array(5)), ""),
    "settings as two texts": (lambda flat: flat.update(json=np.array(["a", "b"])), ""),
}


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as held:
        return {name: held.read(name) for name in held.namelist()}


def _again(path: Path) -> None:
    """One entry a second time, with other numbers."""
    with zipfile.ZipFile(path) as held:
        name = next(name for name in held.namelist() if name.startswith("params:"))
        data = held.read(name)
    with zipfile.ZipFile(path, "a") as held:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of the double name, which is the point
            held.writestr(name, data[:-4] + struct.pack("<f", 1e9))


def _rewritten(change: Callable[[str, bytes], bytes], compress: bool = False) -> Callable[[Path], None]:
    """The archive anew, with other bytes in the first parameter's entry."""

    def write(path: Path) -> None:
        held = _members(path)
        first = next(name for name in held if name.startswith("params:"))
        kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
        with zipfile.ZipFile(path, "w", kind) as out:
            for name, data in held.items():
                out.writestr(name, change(name, data) if name == first else data)

    return write


def _header(shape: str, kind: str = "<f4") -> bytes:
    text = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def _pickled(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([{"a": 1}], object), allow_pickle=True)
    return out.getvalue()


def _encrypted(path: Path) -> None:
    """The flag of encryption on the first entry, in its header and in the directory at the end."""
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(mark) + at] |= 1
    path.write_bytes(data)


def _flipped(path: Path) -> None:
    """One bit of a parameter, which the archive's checksum tells."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as held:
        entry = max((e for e in held.infolist() if e.filename.startswith("params:")), key=lambda e: e.compress_size)
    # A local header: 30 bytes with the lengths of the two fields that come before the contents.
    begin = entry.header_offset + 30 + sum(struct.unpack_from("<HH", data, entry.header_offset + 26))
    data[begin + entry.compress_size // 2] ^= 1
    path.write_bytes(data)


_BYTES: dict[str, Callable[[Path], object]] = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no model"),
    "a bit flipped": _flipped,
    "encrypted": _encrypted,
    "an entry twice": _again,
    "200 GB declared": _rewritten(lambda name, data: _header("(50000000000,)") + data[-64:]),
    "a bomb": _rewritten(lambda name, data: _header("(250000000,)") + bytes(200_000_000), compress=True),
    "a header of nonsense": _rewritten(lambda name, data: b"\x93NUMPY\x01\x00\xff\xff" + data[10:]),
    "a header that counts below zero": _rewritten(lambda name, data: _header("(-1, 4)") + data[-64:]),
    "a header with code": _rewritten(lambda name, data: _header("__import__('os').getpid()") + data[-64:]),
    "an entry without numbers": _rewritten(lambda name, data: data[:128]),
    "pickled objects": _rewritten(_pickled),
    "an archive of text": lambda path: _only(path, "readme.txt"),
    "an archive of nothing": lambda path: _only(path, None),
}


def _only(path: Path, name: str | None) -> None:
    path.unlink()
    with zipfile.ZipFile(path, "w") as out:
        if name:
            out.writestr(name, "text")


def _quick(name: str) -> tuple[str, ...]:
    return ("forecast with",) if name == "a bomb" else WITH


CASES = [
    *(Case(f"model file: {name}", with_arrays(change), WITH) for name, change in _ARRAYS.items()),
    *(Case(f"model file: {name}", with_arrays(change), WITH, (word,)) for name, (change, word) in _OURS.items()),
    *(Case(f"model file: {name}", with_bytes(change), _quick(name)) for name, change in _BYTES.items()),
    *(
        Case(f"published file: {name}", with_arrays(change, "published"), ("published",))
        for name, change in _ARRAYS.items()
        if name != "a parameter too many"
    ),
    *(
        Case(f"published file: {name}", with_bytes(change, "published"), ("published",))
        for name, change in _BYTES.items()
        if name in ("cut off", "a bit flipped", "an entry twice", "200 GB declared", "encrypted", "pickled objects")
    ),
    Case("model file to begin with: NaN", with_arrays(_ARRAYS["NaN among the parameters"]), ("train from",)),
    Case("model file to begin with: cut off", with_bytes(_BYTES["cut off"]), ("train from",)),
    Case("model file to begin with: text", with_bytes(_BYTES["text"]), ("train from",)),
]


def _config(name: str, value) -> Make:
    return with_arrays(lambda flat: flat.update({name: np.array(value)}), "published")


CASES += [
    Case(f"published file: {name}", _config(key, value), ("inspect", "published"), words)
    for name, key, value, words in (
        ("mesh size is text", "model_config:mesh_size", "four", ("mesh_level",)),
        ("mesh size is 40", "model_config:mesh_size", 40, ("mesh_level",)),
        ("mesh size is -1", "model_config:mesh_size", -1, ("mesh_level",)),
        ("latent size is 0", "model_config:latent_size", 0, ("width",)),
        ("latent size is half", "model_config:latent_size", 8.5, ("width",)),
        ("steps are NaN", "model_config:gnn_msg_steps", np.nan, ("steps",)),
        ("steps are a list", "model_config:gnn_msg_steps", [1, 2], ("gnn_msg_steps",)),
        ("input duration is text", "task_config:input_duration", "soon", ("input_duration",)),
        ("input duration is 0h", "task_config:input_duration", "0h", ("step",)),
        ("a level is text", "task_config:pressure_levels:0", "top", ("pressure_levels",)),
        ("a level is half", "task_config:pressure_levels:0", 50.5, ("pressure_levels",)),
        ("a variable that nobody knows", "task_config:target_variables:0", "colour", ("colour",)),
    )
]


def _statistics(change: Callable[[Path], object]) -> Make:
    def make(home: Home, folder: Path) -> Path:
        shutil.copytree(home.golden, folder / "bad_scales")
        change(folder / "bad_scales")
        return folder / "bad_scales"

    return make


def _table(file: str, change: Callable[[xr.Dataset], xr.Dataset]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        with xr.open_dataset(folder / file) as held:
            changed = change(held.load())
        (folder / file).unlink()
        changed.to_netcdf(folder / file, engine="h5netcdf", invalid_netcdf=True)

    return write


def _value(name: str, value: float) -> Callable[[xr.Dataset], xr.Dataset]:
    def change(table: xr.Dataset) -> xr.Dataset:
        table[name] = table[name].copy(data=np.full(table[name].shape, value))
        return table

    return change


_MEAN, _SPREAD, _CHANGE = "mean_by_level.nc", "stddev_by_level.nc", "diffs_stddev_by_level.nc"
CASES += [
    Case(f"statistics: {name}", _statistics(change), ("published scales",), words, named=False)
    for name, change, words in (
        ("none", lambda folder: (folder / _MEAN).unlink(), (_MEAN,)),
        ("cut off", lambda folder: (folder / _MEAN).write_bytes((folder / _MEAN).read_bytes()[:600]), (_MEAN,)),
        ("text", lambda folder: (folder / _SPREAD).write_text("no table"), (_SPREAD,)),
        ("NaN", _table(_MEAN, _value("2m_temperature", np.nan)), (_MEAN, "2m_temperature")),
        ("infinite", _table(_SPREAD, _value("2m_temperature", np.inf)), (_SPREAD, "2m_temperature")),
        ("a spread of zero", _table(_SPREAD, _value("2m_temperature", 0.0)), (_SPREAD, "2m_temperature")),
        ("a spread below zero", _table(_CHANGE, _value("2m_temperature", -1.0)), (_CHANGE, "2m_temperature")),
        ("a variable missing", _table(_MEAN, lambda t: t.drop_vars("2m_temperature")), (_MEAN, "2m_temperature")),
        ("a level missing", _table(_MEAN, lambda t: t.isel(level=slice(1, None))), (_MEAN, "level")),
        (
            "levels of text",
            _table(_MEAN, lambda t: t.assign_coords(level=[f"{x}" for x in t.level.values])),
            (_MEAN, "level"),
        ),
        (
            "a field of text",
            _table(_MEAN, lambda t: t.assign({"2m_temperature": ((), "warm")})),
            (_MEAN, "2m_temperature"),
        ),
    )
]
