"""The page in a real browser: every control, the values at points, the link, the network, and its speed."""

import numpy as np
import pytest

from airmass.fields.variables import VARIABLES
from airmass.plots.style import style_of
from airmass.plots.viewer.view import write_view
from tests.browser import BROWSER, browser, processor_seconds
from tests.conftest import make_store, synthetic_dataset
from tests.forecasts import ensemble_dataset, forecast_dataset, write_forecast
from tests.plots.viewer.test_view import ENSEMBLE, HOSTILE, SINGLE, TRUTH, about_of, write_tracks

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no Chromium here")]

# Frames that the page draws in three seconds while the slider moves: each turn of the screen gets another time.
FRAMES = """new Promise(done => {
  const slider = document.getElementById('time'), drawn = () => Number(document.getElementById('app').dataset.drawn);
  const began = performance.now(), before = drawn();
  let number = 0;
  const turn = () => {
    const passed = performance.now() - began;
    if (passed > 3000) return done(drawn() - before);
    slider.value = ++number % (Number(slider.max) + 1);
    slider.dispatchEvent(new Event('input'));
    requestAnimationFrame(turn);
  };
  requestAnimationFrame(turn);
})"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    hostile = SINGLE.copy()
    hostile.attrs["airmass_system"] = HOSTILE
    write_forecast(folder / "ensemble.zarr", ENSEMBLE)
    write_forecast(folder / "hostile.zarr", hostile)
    make_store(folder / "truth.zarr", TRUTH)
    tracks = write_tracks(folder / "tracks.parquet", track_id=[HOSTILE] * 3)
    return write_view(
        folder / "view.html", [folder / "ensemble.zarr", folder / "hostile.zarr"], folder / "truth.zarr", tracks,
        all_init_times=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def page(written, tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def quiet(page, written):
    """Each test opens the page anew, and leaves no message and no request but for the file itself."""
    page.open("about:blank")
    page.messages.clear()
    page.requests.clear()
    show(page, written)
    yield
    settle(page)
    assert page.messages == []
    assert {address.partition("#")[0] for address in page.requests if not address.startswith("data:")} <= {
        "about:blank", written.as_uri()
    }  # fmt: skip
    assert page.value("document.title") != "ran"


def show(page, path, fragment: str = "") -> None:
    page.open(path.as_uri() + fragment)
    page.until("document.getElementById('app')?.dataset.drawn > 0")


def settle(page) -> None:
    page.value("new Promise(done => setTimeout(done, 800))")


def turns(page) -> None:
    """Wait until the page has drawn what was asked for."""
    page.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def choose(page, menu: str, words: str) -> None:
    found = page.value(
        f"(() => {{ const menu = document.getElementById('{menu}');"
        f"const at = [...menu.options].findIndex(option => option.text.startsWith({words!r}));"
        "menu.selectedIndex = at; menu.dispatchEvent(new Event('change')); return at })()"
    )
    assert found >= 0, (menu, words)
    turns(page)


def state(page) -> dict[str, str]:
    """What the link says, once the page has drawn it."""
    turns(page)
    return page.value("Object.fromEntries(new URLSearchParams(document.getElementById('app').dataset.link.slice(1)))")


def colours(page, panel: str) -> int:
    """How many colours the map of a panel has."""
    return page.value(
        f"(() => {{ const canvas = document.querySelector('#map-{panel} canvas.field');"
        "const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });"
        "copy.drawImage(canvas, 0, 0);"
        "const data = new Uint32Array(copy.getImageData(0, 0, canvas.width, canvas.height).data.buffer);"
        "return new Set(data).size })()"
    )


def middle(page, panel: str = "a") -> tuple[float, float, float, float]:
    box = page.value(f"JSON.parse(JSON.stringify(document.getElementById('map-{panel}').getBoundingClientRect()))")
    return box["x"], box["y"], box["width"], box["height"]


def test_every_menu_and_button_changes_the_view(page):
    for name in ("Plate", "globe", "north", "south", "Equal"):
        choose(page, "projection", name)
        assert colours(page, "a") > 3
    for wind in ("wind: arrows", "wind: particles", "no wind"):
        choose(page, "wind", wind)
        settle(page)
    for box in ("isolines", "smooth", "tracks"):
        before = state(page)["o"]
        page.value(f"document.getElementById('{box}').click()")
        assert state(page)["o"] != before
    for button, key in (("nearer", "c"), ("farther", "c"), ("two", "n"), ("on", "t"), ("back", "t")):
        before = state(page)[key]
        page.value(f"document.getElementById('{button}').click()")
        assert state(page)[key] != before, button
    page.value("document.getElementById('whole').click(); document.getElementById('link').click()")
    before = page.value("document.getElementById('clock').textContent")
    page.value("document.getElementById('play').click()")
    page.until(f"document.getElementById('clock').textContent !== {before!r}", 10)
    page.value("document.getElementById('play').click()")


def test_every_product_of_an_ensemble_is_shown_in_both_maps(page):
    page.value("document.getElementById('two').click()")
    for panel in "ab":
        choose(page, f"source-{panel}", "gencast")
        choose(page, f"variable-{panel}", "geopotential")
        choose(page, f"level-{panel}", "850")
        for product in ("spread", "probability", "difference", "member", "mean"):
            choose(page, f"product-{panel}", product)
            assert product[:6] in page.value(f"document.querySelector('#panel-{panel} .caption').textContent")
            assert page.value(f"document.querySelector('#panel-{panel} .absent').textContent") == ""
        choose(page, f"product-{panel}", "member")
        choose(page, f"member-{panel}", "member 2")
        assert state(page)[panel].split(",")[4] == "2"
    choose(page, "init-a", "from 2000-11-02")
    assert state(page)["b"].split(",")[1] == state(page)["a"].split(",")[1] == "1"
    choose(page, "product-a", "probability")
    page.value("(() => { const box = document.getElementById('threshold-a'); box.value = 130; "
               "box.dispatchEvent(new Event('change')) })()")  # fmt: skip
    assert state(page)["a"].endswith(",130")
    choose(page, "source-b", "truth")
    assert page.value("document.querySelector('#panel-b .caption').textContent").endswith("truth")


def test_every_key_does_what_the_page_says(page):
    keys = "ArrowRight ArrowLeft End Home ArrowDown ArrowUp ] [ s p d m i t w 2 1 + -".split()
    changes = dict(zip(keys, "ttttaaaaaaaaoownncc", strict=True))
    choose(page, "variable-a", "geopotential")
    for key, part in changes.items():
        before = state(page)[part]
        page.key(key)
        assert state(page)[part] != before, key
    choose(page, "product-a", "member")
    for key in ".,":
        before = state(page)["a"]
        page.key(key)
        assert state(page)["a"] != before
    page.key("ArrowRight", shift=True)
    page.key("0")
    page.key(" ")
    page.key(" ")


def test_a_map_is_turned_and_enlarged_by_the_mouse(page):
    x, y, width, height = middle(page)
    page.drag(x + width / 2, y + height / 2, 80, 0)
    east = float(state(page)["c"].split(",")[0])
    assert east == pytest.approx(-360 * 80 / width, abs=15)
    page.call("Input.dispatchMouseEvent", type="mouseWheel", x=x + width / 2, y=y + height / 2, deltaX=0, deltaY=-100)
    assert float(state(page)["c"].split(",")[2]) == pytest.approx(1.2)


def test_values_at_ten_points_are_those_of_the_store(page, written):
    about = about_of(written.read_text())
    records = {record["key"]: record for record in about["fields"]}
    choose(page, "source-a", "gencast")
    choose(page, "product-a", "member")
    choose(page, "member-a", "member 1")
    x, y, width, height = middle(page)
    rng = np.random.default_rng(0)
    for number in range(10):
        key, name, level = (("z850", "geopotential", 850), ("2t", "2m_temperature", None))[number % 2]
        choose(page, "variable-a", "geopotential" if level else "2m temperature")
        if level:
            choose(page, "level-a", str(level))
        page.click(x + width * rng.uniform(0.3, 0.7), y + height * rng.uniform(0.15, 0.85))
        settle(page)
        found = page.value("Object.assign({}, document.getElementById('value-a').dataset)")
        stored = ENSEMBLE[name].isel(init_time=0, lead_time=0, number=1)
        stored = stored if level is None else stored.sel(level=level)
        value = float(stored.values[int(found["row"]), int(found["column"])])
        latitude, longitude = map(float, state(page)["x"].split(","))
        assert abs(stored.latitude.values[int(found["row"])] - latitude) <= 180 / 8 / 2 + 0.01
        away = abs(stored.longitude.values[int(found["column"])] - longitude) % 360
        assert min(away, 360 - away) <= 360 / 16 / 2 + 0.01
        error = records[key]["error"]
        assert abs(float(found["value"]) - style_of(VARIABLES[name]).shown(value)) <= error * 1.001 + 1e-4, (
            number,
            found,
        )


@pytest.mark.parametrize(
    ("product", "expected"), [("mean", "mean"), ("spread", "spread"), ("difference", "difference")]
)
def test_products_are_those_of_numpy(page, written, product, expected):
    choose(page, "source-a", "gencast")
    choose(page, "variable-a", "2m temperature")
    choose(page, "product-a", product)
    x, y, width, height = middle(page)
    page.click(x + width * 0.4, y + height * 0.4)
    settle(page)
    found = page.value("Object.assign({}, document.getElementById('value-a').dataset)")
    members = (
        ENSEMBLE["2m_temperature"].isel(init_time=0, lead_time=0).values[:, int(found["row"]), int(found["column"])]
    )
    truth = TRUTH["2m_temperature"].sel(time=ENSEMBLE.valid_time.values[0, 0])
    truth = float(truth.values[int(found["row"]), int(found["column"])])
    wanted = {"mean": members.mean() - 273.15, "spread": members.std(ddof=1), "difference": members.mean() - truth}
    step = next(record["step"] for record in about_of(written.read_text())["fields"] if record["key"] == "2t")
    assert float(found["value"]) == pytest.approx(wanted[expected], abs=2 * step)


def test_a_click_opens_a_plume_and_a_meteogram(page):
    x, y, width, height = middle(page)
    page.click(x + width / 2, y + height / 2)
    page.until("document.querySelectorAll('.chart canvas').length === 1")
    choose(page, "chart", "meteogram")
    page.until("document.querySelectorAll('.chart canvas').length > 2")
    page.value("document.getElementById('close').click()")
    settle(page)
    assert page.value("document.getElementById('at-point').hidden") and "x" not in state(page)


def test_beside_a_round_map_nothing_is_clicked(page):
    choose(page, "projection", "north")
    x, y, width, height = middle(page)
    page.click(x + width / 2 - height / 2 * 0.95, y + height * 0.05)
    assert "x" not in state(page)
    page.click(x + width / 2, y + height * 0.4)
    assert float(state(page)["x"].split(",")[0]) > 40


def test_a_link_restores_the_view(page, written):
    link = (
        "#t=2000-11-02T12:00&a=0,1,z850,spread,-1,0&b=2,0,2t,value,-1,0&n=2&p=globe&c=100.0,30.0,1.50"
        "&o=isolines,tracks&w=arrows&x=20.000,120.000"
    )
    page.open("about:blank")
    show(page, written, link)
    settle(page)
    assert page.value("location.hash === document.getElementById('app').dataset.link")
    held = page.value("Object.fromEntries(new URLSearchParams(location.hash.slice(1)))")
    assert held == dict(part.split("=") for part in link[1:].split("&"))
    page.open("about:blank")
    show(page, written, "#t=never&a=9,9,nothing,?,x,&b=<img src=x>&c=1,2&p=__proto__&x=1,a&o=")
    assert colours(page, "a") > 3


@pytest.mark.parametrize("width", [400, 1280, 1920])
def test_nothing_is_wider_than_the_window(page, width):
    page.value("document.getElementById('two').click()")
    x, y, w, h = middle(page)
    page.click(x + w / 2, y + h / 2)
    page.resize(width, 900)
    settle(page)
    assert page.value("document.scrollingElement.scrollWidth") <= width


def test_one_time_and_one_field(page, tmp_path, written):
    write_forecast(tmp_path / "one.zarr", SINGLE[["sea_surface_temperature"]].isel(lead_time=[0], init_time=[0]))
    alone = write_view(tmp_path / "alone.html", [tmp_path / "one.zarr"])
    show(page, alone)
    assert page.value("document.getElementById('time').disabled")
    x, y, width, height = middle(page)
    page.click(x + width / 2, y + height / 2)
    page.until("document.querySelectorAll('.chart canvas').length === 1")
    page.requests.clear()


@pytest.mark.parametrize(("rows", "columns", "members", "least"), [(32, 64, 1, 30), (181, 360, 8, 10)])
def test_frames_a_second_while_the_slider_moves(page, tmp_path, rows, columns, members, least):
    """By the processor time of the whole browser for a frame, as other work on the machine slows the frames themselves.

    One core suffices where that is less than a frame lasts.
    """
    truth = synthetic_dataset(
        days=4,
        names=("2m_temperature", "geopotential"),
        levels=(500,),
        n_latitude=rows,
        n_longitude=columns,
        poles=rows % 2 == 1,
    )
    options = {"init_indices": (0,), "lead_hours": range(6, 66, 6)}
    dataset = ensemble_dataset(truth, members, **options) if members > 1 else forecast_dataset(truth, **options)
    write_forecast(tmp_path / "f.zarr", dataset)
    show(page, write_view(tmp_path / "rate.html", [tmp_path / "f.zarr"]))
    before = processor_seconds(page.process)
    drawn = page.value(FRAMES)
    used = (processor_seconds(page.process) - before) / drawn
    print(
        f"{columns} x {rows}, {members} members: {drawn / 3:.0f} frames a second, {1e3 * used:.0f} ms of processor each"
    )
    page.requests.clear()
    assert used < 1 / least
