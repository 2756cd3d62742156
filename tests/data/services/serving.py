"""Services on this machine: the files of NOAA and ECMWF with their indexes, and CDS' queue, made from real fields."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import eccodes
import numpy as np
import xarray as xr

from tests.grib import message
from tests.layouts import cds_new

REAL = Path(__file__).parents[1] / "real" / "gfs_20110110T12_f120_2p5deg.grib2"
LEVELS = (500, 700, 850)
TIMES = (np.datetime64("2024-05-31T18"), np.datetime64("2024-06-01T00"))
# NOAA's names of the real file's fields, by ecCodes' short names.
_NOAA = {
    "gh": "HGT", "t": "TMP", "u": "UGRD", "v": "VGRD", "w": "VVEL", "r": "RH", "2t": "TMP", "10u": "UGRD",
    "10v": "VGRD", "prmsl": "PRMSL", "tp": "APCP", "lsm": "LAND", "orog": "HGT",
}  # fmt: skip
_PLACES = {"2t": "2 m above ground", "10u": "10 m above ground", "10v": "10 m above ground", "prmsl": "mean sea level"}
_STATIC = ("lsm", "orog")
_G = 9.80665


@dataclass(frozen=True)
class Message:
    """One GRIB message, and how the indexes of both services call it."""

    data: bytes
    short: str
    level: int | None
    lead: int

    @property
    def noaa(self) -> str:
        place = f"{self.level} mb" if self.level else _PLACES.get(self.short, "surface")
        return f"{_NOAA[self.short]}:{place}:{f'0-{self.lead} hour acc fcst' if self.lead else 'anl'}:"

    @property
    def ecmwf(self) -> dict[str, Any]:
        """With the parameters of ECMWF, which has pressure at mean sea level and surface geopotential."""
        param = {"prmsl": "msl", "orog": "z"}.get(self.short, self.short)
        levels = {"levtype": "pl", "levelist": str(self.level)} if self.level else {"levtype": "sfc"}
        return {"param": param, "type": "fc", "step": str(self.lead), "stream": "oper", **levels}


@cache
def real_fields() -> tuple[tuple[str, int | None, np.ndarray], ...]:
    """Short name, level in hPa, and values, north to south from 0 east, of the real file."""
    found = []
    eccodes.codes_grib_multi_support_on()  # NCEP packs u and v into one message
    try:
        with REAL.open("rb") as file:
            while (held := eccodes.codes_grib_new_from_file(file)) is not None:
                short, kind = eccodes.codes_get(held, "shortName"), eccodes.codes_get(held, "typeOfLevel")
                level = eccodes.codes_get(held, "level") if kind == "isobaricInhPa" else None
                if short in _NOAA and level in (None, *LEVELS):
                    found.append((short, level, eccodes.codes_get_values(held).reshape(73, 144)))
                eccodes.codes_release(held)
    finally:
        eccodes.codes_grib_multi_support_off()
    return tuple(found)


@cache
def messages(start: np.datetime64, lead: int, ecmwf: bool) -> tuple[Message, ...]:
    """The real fields as a forecast from `start`: an analysis, or sums from the start to `lead` hours."""
    day, hour = np.datetime_as_string(start, "h").split("T")
    dated = {"dataDate": int(day.replace("-", "")), "dataTime": 100 * int(hour)}
    columns = int((start - TIMES[0]) / np.timedelta64(6, "h"))
    found = []
    for short, level, values in real_fields():
        if (short == "tp") != bool(lead):
            continue
        values = values if short in _STATIC else np.roll(values, columns, 1)  # another weather at every time
        param = short
        if ecmwf and short == "orog":
            param, values = "z", _G * values
        param = "msl" if short == "prmsl" else param
        # tp of GRIB 2 is in kg m-2, in both services.
        summed = {"productDefinitionTemplateNumber": 8, "paramId": 228228, "typeOfStatisticalProcessing": 1}
        keys = summed if short == "tp" else {"shortName": param}
        placed = {"level": level} if level else {"typeOfLevel": "surface"} if short in ("orog", "lsm") else {}
        steps = {"stepRange": f"0-{lead}"} if lead else {}
        centre = {"centre": "ecmf" if ecmwf else "kwbc"}
        data = message(values.astype(np.float32), {**keys, **centre, **placed, **dated, **steps}, level is not None)
        found.append(Message(data, short, level, lead))
    return tuple(found)


@dataclass
class Files:
    """Files by path, requests in order, and faults: `cut` breaks a transfer off after that many bytes, once each."""

    held: dict[str, bytes]
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    sent: int = 0
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    key: str = ""


def noaa() -> dict[str, bytes]:
    """The bucket: the second file, of rarer levels, has 850 hPa."""
    held = {}
    for start in (TIMES[0] - np.timedelta64(6, "h"), *TIMES):
        day, hour = np.datetime_as_string(start, "h").split("T")
        for lead in (0, 6):
            parts = messages(start, lead, False)
            for kind, rare in (("pgrb2", False), ("pgrb2b", True)):
                chosen = [m for m in parts if (m.level == 850) == rare]
                name = f"/gfs.{day.replace('-', '')}/{hour}/atmos/gfs.t{hour}z.{kind}.0p25.f{lead:03d}"
                held[name] = b"".join(m.data for m in chosen)
                stamp, at, lines = f"d={day.replace('-', '')}{hour}", 0, []
                for number, one in enumerate(chosen, 1):
                    lines.append(f"{number}:{at}:{stamp}:{one.noaa}\n")
                    at += len(one.data)
                held[f"{name}.idx"] = "".join(lines).encode()
    return held


def ecmwf() -> dict[str, bytes]:
    held = {}
    for start in (TIMES[0] - np.timedelta64(6, "h"), *TIMES):
        day, hour = np.datetime_as_string(start, "h").split("T")
        stream = "scda" if hour in ("06", "18") else "oper"
        for lead in (0, 6):
            parts = messages(start, lead, True)
            day = day.replace("-", "")
            name = f"/{day}/{hour}z/ifs/0p25/{stream}/{day}{hour}0000-{lead}h-{stream}-fc"
            held[f"{name}.grib2"] = b"".join(m.data for m in parts)
            at, lines = 0, []
            for one in parts:
                lines.append(json.dumps({**one.ecmwf, "_offset": at, "_length": len(one.data)}) + "\n")
                at += len(one.data)
            held[f"{name}.index"] = "".join(lines).encode()
    return held


class Handler(http.server.BaseHTTPRequestHandler):
    server: "_Server"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        if "/retrieve/" in self.path or "/catalogue/" in self.path:
            self._queue()
        else:
            self._answer(body=True)

    def do_POST(self) -> None:
        self._queue()

    def _answer(self, body: bool) -> None:
        files = self.server.files
        given = self.headers.get("Range", "")
        files.asked.append((self.command, self.path, given))
        data = files.held.get(self.path)
        if data is None:
            self.send_error(404)
            return
        first, _, last = given.removeprefix("bytes=").partition("-") if given else ("0", "", "")
        part = data[int(first) : int(last) + 1 if last else None]
        self.send_response(206 if given else 200)
        if given:
            self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", "application/octet-stream")
        self.end_headers()
        if body:
            cut = files.cuts.pop(0) if given and files.cuts else len(part)
            files.sent += len(part[:cut])
            self.wfile.write(part[:cut])

    def _queue(self) -> None:
        """CDS: a job is accepted, running, then successful."""
        files, url = self.server.files, f"http://127.0.0.1:{self.server.server_port}"
        length = int(self.headers.get("Content-Length") or 0)
        sent = json.loads(self.rfile.read(length)) if length else {}
        files.asked.append((self.command, self.path, ""))
        path, _, _ = self.path.partition("?")
        if files.key and self.headers.get("PRIVATE-TOKEN") != files.key and "/retrieve/" in path:
            self._json({"title": "operation not allowed", "detail": "the key is not known"}, 401)
        elif path.endswith("/messages"):
            self._json({"messages": []})
        elif path.endswith("/execution"):
            job = f"job-{len(files.jobs)}"
            files.jobs[job] = {**sent["inputs"], "dataset": path.split("/")[-2], "looks": 0}
            self._json({"jobID": job, "status": "accepted", "links": _links(url, job)}, 201)
        elif path.endswith("/results"):
            job = path.split("/")[-2]
            data = files.held[f"/{files.jobs[job]['dataset']}.nc"](files.jobs[job])  # type: ignore[operator]
            files.held[f"/{job}.nc"] = data
            self._json({"asset": {"value": {"href": f"{url}/{job}.nc", "file:size": len(data), "type": "x"}}})
        elif "/jobs/" in path:
            job = path.split("/")[-1]
            if job not in files.jobs:
                self._json({"title": "job not found"}, 404)
                return
            files.jobs[job]["looks"] += 1
            self._json({"jobID": job, "status": files.jobs[job].get("status", "successful"),
                        "links": _links(url, job)})  # fmt: skip
        else:
            self._json({"id": path.split("/")[-1], "links": []})

    def _json(self, answer: object, status: int = 200) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def _links(url: str, job: str) -> list[dict[str, str]]:
    at = f"{url}/retrieve/v1/jobs/{job}"
    return [{"rel": rel, "href": at} for rel in ("monitor", "self")]


class _Server(http.server.ThreadingHTTPServer):
    files: Files
    request_queue_size = 128


@contextmanager
def serving(held: dict[str, bytes]) -> Iterator[tuple[Files, str]]:
    """The files and the address of a server of them, for as long as it runs."""
    with _Server(("127.0.0.1", 0), Handler) as server:
        server.files = Files(dict(held))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.files, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def of_cds(fields: xr.Dataset, folder: Path) -> dict[str, Any]:
    """CDS' two data sets of hourly fields: the parts that a request names, as NetCDF in its layout."""
    whole = {part.stem: xr.open_dataset(part, engine="h5netcdf").load() for part in cds_new(fields, folder)}
    return {
        "/reanalysis-era5-pressure-levels.nc": lambda request: _chosen(whole["data_stream-0"], request, folder),
        "/reanalysis-era5-single-levels.nc": lambda request: _chosen(whole["data_stream-1"], request, folder),
    }


_CDS = {"geopotential": "z", "temperature": "t", "2m_temperature": "t2m", "land_sea_mask": "lsm",
        "total_precipitation": "tp"}  # fmt: skip


def _chosen(held: xr.Dataset, request: dict[str, Any], folder: Path) -> bytes:
    day = f"{request['year'][0]}-{request['month'][0]}-{request['day'][0]}"
    chosen = held[[_CDS[name] for name in request["variable"]]]
    chosen = chosen.sel(valid_time=[np.datetime64(f"{day}T{hour}") for hour in request["time"]])
    if "pressure_level" in request:
        chosen = chosen.sel(pressure_level=[float(level) for level in request["pressure_level"]])
    path = folder / "chosen.nc"
    chosen.to_netcdf(path, engine="h5netcdf")
    return path.read_bytes()
