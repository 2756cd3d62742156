"""Local paths and addresses: told apart once, for every command."""

from pathlib import Path

import pytest

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.core.place import is_url, local_path, located


@pytest.mark.parametrize(
    "text",
    ["a", "a.zarr", "/data/a:b.zarr", "run:/x", "2020-01-01T00:/x", "C:/x", "/a/http://x", "http:"],
)
def test_local_paths(text):
    assert not is_url(text)
    assert local_path(text, "output") == located(text) == Path(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://host/a//b.zarr?c=d", "https://host/a//b.zarr?c=d"),
        ("HTTP://host/a", "http://host/a"),
        ("s3://bucket/a", "s3://bucket/a"),
        (Path("gs://bucket/a"), "gs://bucket/a"),  # a Path keeps one slash
        (Path("https://host/a"), "https://host/a"),
    ],
)
def test_addresses(text, address):
    assert is_url(text)
    assert located(text) == address
    with pytest.raises(InputError, match="output must be a local path") as caught:
        local_path(text, "output")
    assert str(caught.value).startswith(f"{address}: ")


@pytest.mark.parametrize("text", ["ftp://host/a", Path("ftp://host/a"), "zip::s3://a/b", "://a", "gcs://b"])
def test_other_schemes_are_refused_with_the_known_ones(text):
    for ask in (is_url, located):
        with pytest.raises(
            InputError, match=r"expected a local path or s3://, .*https://, icechunk\+s3:// or icechunk\+gs://$"
        ):
            ask(text)


@pytest.mark.parametrize("text", ["file:///data/a.zarr", Path("file:///data/a.zarr"), "file:/data/a.zarr"])
def test_addresses_of_local_files_are_refused_with_their_path(text):
    for ask in (is_url, located, lambda place: local_path(place, "output")):
        with pytest.raises(InputError, match=r"give the path of a local file without file://: /data/a\.zarr$"):
            ask(text)


def test_nul_is_refused():
    with pytest.raises(InputError, match=r"'a\\x00b': a path cannot hold the character NUL"):
        local_path("a\0b", "output")


@pytest.mark.parametrize(
    "arguments",
    [
        "evaluate STORE --truth STORE --out URL",
        "plot STORE --truth STORE --out URL",
        "report --scores URL --out report.html",
        "report --scores . --out URL",
        "forecast --checkpoint m.npz --initial STORE --out URL.zarr",
        "forecast --checkpoint URL --initial STORE --out out.zarr",
        "inspect URL",
        "simulate URL.zarr --days 1",
        "data convert STORE URL",
        "data stats STORE --dates 2000-11-01 2000-11-03 --out URL",
        "train demo --data STORE --run URL",
        "demo --out URL",
    ],
)
def test_commands_refuse_an_address_where_a_path_is_meant(arguments, store, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    address = "http://127.0.0.1:9/x"  # nothing listens there, and nothing asks
    assert main(arguments.replace("URL", address).replace("STORE", str(store)).split()) == 2
    said = capsys.readouterr().err.strip()
    assert "must be a local path" in said and address in said and "\n" not in said
    assert not list(tmp_path.iterdir())
