// The page: controls of all panels, keys, the link, and the loop that draws.

import { readAbout, timesOf } from "./about";
import { Archive, Embedded, Selection, Served } from "./archive";
import { drawChart, Line, lines } from "./charts";
import { button, fill, leadText, make, menu, toggle, utc } from "./dom";
import { Haste, Panel, place } from "./panel";
import { fromHash, initial, Projection, PROJECTIONS, State, toHash, Wind, WINDS } from "./state";

const about = readAbout();
const root = document.getElementById("app")!;
const failure = make("div", { id: "failure", class: "failure" });
const archive: Archive = about.served ? new Served(about, () => redraw(), (words) => (failure.textContent = words)) : new Embedded(about);
let state: State = fromHash(location.hash, about, initial(about));
let haste: Haste = "none", settled = 0, dirty = true, playing = 0;

const PROJECTION_NAMES: Record<Projection, string> = {
  "equal-earth": "Equal Earth", "plate-carree": "Plate carrée", globe: "globe", north: "north pole", south: "south pole",
};
const WIND_NAMES: Record<Wind, string> = { none: "no wind", arrows: "wind: arrows", particles: "wind: particles" };

const panels = ([0, 1] as const).map((number) => new Panel(number, archive, () => state, (chosen) => choose(number, chosen)));

const clock = make("output", { id: "clock", class: "clock" });
const slider = make("input", { id: "time", label: "Time" });
slider.type = "range";
slider.step = "1";
slider.addEventListener("input", () => move(times()[Number(slider.value)]));
const play = button("play", "▶", "Play or stop (space)", () => setPlaying(!playing));
const projection = menu("projection", "Projection", (index) => update({ projection: PROJECTIONS[index], centre: [0, 0], zoom: 1 }));
const wind = menu("wind", "Wind", (index) => update({ wind: WINDS[index] }));
const isolines = toggle("isolines", "isolines", "Isolines (i)", (on) => update({ isolines: on }));
const smooth = toggle("smooth", "smooth", "Interpolate between grid points", (on) => update({ smooth: on }));
const tracks = toggle("tracks", "cyclone tracks", "Tracks of tropical cyclones (t)", (on) => update({ tracks: on }));
const two = button("two", "two maps", "One map or two (2)", () => update({ two: !state.two }));
const link = button("link", "copy link", "Copy a link to this view", () => void copyLink());
const chartKind = menu("chart", "Chart", (index) => update({ chart: index ? "meteogram" : "plume" }));
const charts = make("div", { id: "charts" });
const chartHead = make("span", { id: "place" });
const chartBox = make("section", { id: "at-point", class: "at-point" },
  make("div", { class: "bar" }, chartKind, chartHead, button("close", "close", "Close (Esc)", () => update({ point: null }))), charts);

function labelled(input: HTMLInputElement, words: string): HTMLElement {
  return make("label", {}, input, words);
}

function build(): void {
  const hours = (count: number) => button(count < 0 ? "back" : "on", count < 0 ? "◀" : "▶▏", count < 0 ? "Back (←)" : "On (→)", () => step(count));
  fill(chartKind, ["plume", "meteogram"], 0);
  fill(projection, PROJECTIONS.map((name) => PROJECTION_NAMES[name]), 0);
  fill(wind, WINDS.map((name) => WIND_NAMES[name]), 0);
  const hasWind = about.winds.length > 0, hasTracks = about.tracks.length > 0;
  root.append(
    make("header", {}, make("h1", {}, about.title), clock),
    make("div", { class: "bar time" }, play, hours(-1), slider, hours(1)),
    make("div", { class: "bar" }, projection, ...(hasWind ? [wind] : []), labelled(isolines, "isolines"), labelled(smooth, "smooth"),
      ...(hasTracks ? [labelled(tracks, "cyclone tracks")] : []), two,
      button("nearer", "+", "Zoom in (+)", () => zoom(1.5)), button("farther", "−", "Zoom out (−)", () => zoom(1 / 1.5)),
      button("whole", "whole map", "Whole map (0)", () => update({ centre: [0, 0], zoom: 1 })), link),
    make("main", { id: "panels" }, ...panels.map((panel) => panel.root)),
    failure, make("p", { class: "hint", id: "hint" }, "Click a map for its values over time. Drag to turn it, scroll to zoom."), chartBox, notes());
  panels.forEach((panel) => listen(panel));
}

function notes(): HTMLElement {
  const rows = about.fields.filter((field) => field.error !== undefined).map((field) => make("tr", {},
    make("td", {}, field.title), make("td", {}, `±${roundedUp(field.error!)} ${field.difference_units}`)));
  const keys: [string, string][] = [
    ["← →", "one step in time"], ["Shift ← →", "one day"], ["Home End", "first, last time"], ["space", "play, stop"],
    ["↑ ↓", "variable"], ["[ ]", "level"], [", .", "member"], ["m", "mean or value"], ["s", "spread"], ["p", "probability"],
    ["d", "difference to truth"], ["i", "isolines"], ["w", "wind"], ["t", "tracks"], ["1 2", "one map, two maps"],
    ["+ − 0", "zoom, whole map"], ["Esc", "close the chart"],
  ];
  const table = (body: HTMLElement[]) => make("table", {}, ...body);
  const exact = "Values are those of the files, in float32, read by the server that showed this page.";
  return make("footer", {},
    ...about.notes.map((words) => make("p", {}, words)),
    make("details", { id: "accuracy" }, make("summary", {}, "Accuracy"), make("p", {},
      about.served ? exact : "Values in this page are rounded. No value differs from the file's by more than:"),
      table(about.served ? [] : rows)),
    make("details", { id: "keys" }, make("summary", {}, "Keys"), table(keys.map(([key, words]) =>
      make("tr", {}, make("td", {}, key), make("td", {}, words))))),
    make("details", {}, make("summary", {}, "Sources"), table(about.sources.map((source) =>
      make("tr", {}, make("td", {}, source.truth ? "truth" : source.name), make("td", {}, source.path))))),
    make("p", { class: "small" }, `Written by airmass ${about.version}, ${about.made}. Coastlines: Natural Earth.`));
}

/** A bound with two digits, never below it. */
function roundedUp(error: number): number {
  if (!(error > 0)) return 0;
  const unit = 10 ** (Math.floor(Math.log10(error)) - 1);
  return Number((Math.ceil(error / unit - 1e-6) * unit).toPrecision(2));
}

function times(): number[] {
  const { source, init } = state.panels[0];
  return timesOf(about.sources[source], init);
}

function choose(number: 0 | 1, chosen: Selection): void {
  const changed: State = { ...state, panels: [...state.panels] };
  const before = state.panels[number];
  changed.panels[number] = chosen;
  // The same lead time from another initial time; both panels turn to it where they are of one forecast.
  if (number === 0 && chosen.init !== before.init && chosen.source === before.source) {
    const sources = about.sources, { inits } = sources[chosen.source];
    if (inits) changed.time = state.time + inits[chosen.init] - inits[before.init];
    if (changed.panels[1].source === chosen.source) changed.panels[1] = { ...changed.panels[1], init: chosen.init };
  }
  update(changed);
}

function update(part: Partial<State>): void {
  state = { ...state, ...part };
  const all = times();
  if (!all.includes(state.time)) state.time = nearest(all, state.time);
  redraw();
}

function nearest(all: number[], time: number): number {
  return all.reduce((best, other) => (Math.abs(other - time) < Math.abs(best - time) ? other : best));
}

/** Another time, drawn a little coarser until time stands still. */
function move(time: number): void {
  haste = "moving";
  clearTimeout(settled);
  settled = window.setTimeout(() => {
    haste = "none";
    redraw();
  }, 200);
  update({ time });
}

function redraw(): void {
  dirty = true;
}

function step(count: number): void {
  const all = times(), at = all.indexOf(state.time) + count;
  move(all[Math.min(Math.max(at, 0), all.length - 1)]);
}

function stepHours(hours: number): void {
  update({ time: nearest(times(), state.time + 3600 * hours) });
}

function setPlaying(on: boolean): void {
  clearInterval(playing);
  playing = on ? window.setInterval(() => {
    const all = times();
    if (archive.at(state.panels[0], state.time) === undefined) return; // still on its way
    move(all[(all.indexOf(state.time) + 1) % all.length]);
  }, 150) : 0;
  play.textContent = on ? "❚❚" : "▶";
}

function zoom(factor: number): void {
  update({ zoom: Math.min(Math.max(state.zoom * factor, 1), 40) });
}

async function copyLink(): Promise<void> {
  const address = location.href.split("#")[0] + toHash(state);
  try {
    await navigator.clipboard.writeText(address);
    link.textContent = "copied";
  } catch {
    link.textContent = "copy the address above";
  }
  setTimeout(() => (link.textContent = "copy link"), 2000);
}

function listen(panel: Panel): void {
  const stage = panel.root.querySelector<HTMLElement>(".stage")!;
  let from: { x: number; y: number; centre: [number, number]; moved: boolean } | null = null;
  const at = (event: MouseEvent): [number, number] => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  stage.addEventListener("pointerdown", (event) => {
    const [x, y] = at(event);
    from = { x, y, centre: state.centre, moved: false };
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [x, y] = at(event);
    if (Math.hypot(x - from.x, y - from.y) < 5 && !from.moved) return;
    from.moved = true;
    haste = "dragged";
    const degrees = 57.3 / panel.lens.projection.scale();
    const north = state.zoom > 1 || state.projection === "globe" ? from.centre[1] + (y - from.y) * degrees : from.centre[1];
    const east = from.centre[0] - (x - from.x) * degrees;
    update({ centre: [((((east + 180) % 360) + 360) % 360) - 180, Math.min(Math.max(north, -89), 89)] });
  });
  const end = (event: PointerEvent) => {
    if (from && !from.moved && event.type === "pointerup") {
      const found = panel.lens.invert(...at(event));
      if (found) update({ point: [found[1], found[0]] });
    }
    from = null;
    haste = "none";
    redraw();
  };
  stage.addEventListener("pointerup", end);
  stage.addEventListener("pointercancel", end);
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2);
  }, { passive: false });
}

const nextOf = <T,>(all: readonly T[], one: T): T => all[(all.indexOf(one) + 1) % all.length];

const KEYS: Record<string, (event: KeyboardEvent) => void> = {
  ArrowLeft: (event) => (event.shiftKey ? stepHours(-24) : step(-1)),
  ArrowRight: (event) => (event.shiftKey ? stepHours(24) : step(1)),
  Home: () => update({ time: times()[0] }),
  End: () => update({ time: times().at(-1)! }),
  ArrowUp: () => panels[0].nextVariable(-1),
  ArrowDown: () => panels[0].nextVariable(1),
  "[": () => panels[0].nextLevel(-1),
  "]": () => panels[0].nextLevel(1),
  ",": () => panels[0].nextMember(-1),
  ".": () => panels[0].nextMember(1),
  " ": () => setPlaying(!playing),
  m: () => panels[0].chooseProduct(panels[0].products()[0]),
  s: () => panels[0].chooseProduct("spread"),
  p: () => panels[0].chooseProduct("above"),
  d: () => panels[0].chooseProduct("difference"),
  i: () => update({ isolines: !state.isolines }),
  w: () => about.winds.length && update({ wind: nextOf(WINDS, state.wind) }),
  t: () => about.tracks.length && update({ tracks: !state.tracks }),
  "1": () => update({ two: false }),
  "2": () => update({ two: true }),
  "+": () => zoom(1.5),
  "=": () => zoom(1.5),
  "-": () => zoom(1 / 1.5),
  "0": () => update({ centre: [0, 0], zoom: 1 }),
  Escape: () => update({ point: null }),
};

document.addEventListener("keydown", (event) => {
  const where = event.target as HTMLElement, act = KEYS[event.key];
  const typing = where instanceof HTMLSelectElement || (where instanceof HTMLInputElement && where.type === "number");
  if (!act || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === " " && where instanceof HTMLButtonElement) return;
  event.preventDefault();
  act(event);
});

window.addEventListener("hashchange", () => {
  if (location.hash && location.hash !== toHash(state)) update(fromHash(location.hash, about, state));
});
new ResizeObserver(() => redraw()).observe(root);

function showControls(): void {
  const all = times(), start = about.sources[state.panels[0].source].inits?.[state.panels[0].init];
  slider.max = `${all.length - 1}`;
  slider.value = `${all.indexOf(state.time)}`;
  slider.disabled = all.length < 2;
  clock.textContent = utc(state.time) + (start === undefined ? "" : ` · ${leadText(state.time - start)}`);
  slider.setAttribute("aria-valuetext", clock.textContent);
  projection.selectedIndex = PROJECTIONS.indexOf(state.projection);
  wind.selectedIndex = WINDS.indexOf(state.wind);
  [isolines.checked, smooth.checked, tracks.checked] = [state.isolines, state.smooth, state.tracks];
  two.textContent = state.two ? "one map" : "two maps";
  chartKind.selectedIndex = state.chart === "plume" ? 0 : 1;
  document.getElementById("panels")!.className = state.two ? "two" : "one";
  panels[1].root.hidden = !state.two;
  chartBox.hidden = !state.point;
  document.getElementById("hint")!.hidden = !!state.point;
}

let charted = "", saved = 0;

/** Draw the charts of the chosen point anew when point, fields or forecasts changed; else only move the time's mark. */
async function showCharts(): Promise<void> {
  if (!state.point) return void (charted = "");
  const shown = state.two ? state.panels : [state.panels[0]];
  const fields = state.chart === "plume" ? [...new Set(shown.map((panel) => panel.field))] : meteogram(shown[0]);
  const [row, column] = panels[0].lens.nearest(...state.point);
  const { latitude, longitude } = about.grid, node = row * longitude.length + column;
  const key = [node, fields, root.clientWidth, ...shown.map(({ source, init }) => `${source},${init}`)].join(" ");
  if (key !== charted) {
    charted = key;
    chartHead.textContent = place(latitude[row], longitude[column]);
    const found: Line[][] = [];
    try {
      for (const field of fields) found.push(await lines(archive, shown, field, node));
    } catch (error) {
      failure.textContent = (error as Error).message;
      return;
    }
    if (key !== charted) return; // another point was chosen meanwhile
    charts.replaceChildren(...fields.map(() => make("div", { class: "chart" }, make("canvas"))));
    held = { fields, found };
  }
  if (held) for (const [at, canvas] of [...charts.querySelectorAll("canvas")].entries()) {
    drawChart(canvas, archive.field(held.fields[at]), held.found[at], state.time, state.chart === "plume" ? 220 : 130);
  }
}
let held: { fields: string[]; found: Line[][] } | null = null;

/** Fields of a meteogram: those at the surface, without components of the wind. */
function meteogram(panel: Selection): string[] {
  const parts = new Set(about.fields.flatMap((field) => field.parts ?? []));
  const source = about.sources[panel.source];
  const surface = about.fields.filter((field) => field.level === null && !parts.has(field.key) && source.fields.includes(field.key));
  return surface.length ? surface.slice(0, 6).map((field) => field.key) : [panel.field];
}

function frame(): void {
  if (dirty) {
    dirty = false;
    showControls();
    for (const panel of state.two ? panels : [panels[0]]) panel.draw(haste);
    void showCharts();
    if (failure.textContent && about.served) failure.textContent = "";
    clearTimeout(saved);
    saved = window.setTimeout(() => {
      if (location.hash !== toHash(state)) history.replaceState(null, "", toHash(state));
    }, 300);
    root.dataset.link = toHash(state);
    root.dataset.drawn = `${Number(root.dataset.drawn ?? 0) + 1}`;
  }
  for (const panel of state.two ? panels : [panels[0]]) panel.flow();
  requestAnimationFrame(frame);
}

build();
requestAnimationFrame(frame);
