// One map with its controls, legend and value at the chosen point.

import { geoGraticule10, geoPath } from "d3-geo";
import { feature } from "topojson-client";
import type { Topology } from "topojson-specification";
import world from "world-atlas/land-110m.json";
import { Field, Scale, timesOf } from "./about";
import { Archive, Product, Selection } from "./archive";
import { decimals, fill, leadText, make, menu } from "./dom";
import { Lens } from "./lens";
import { drawIsolines, Palette, spacing } from "./paint";
import type { State } from "./state";
import { drawTracks, nearestTrack } from "./tracks";
import { anchors, Components, drawArrows, Particles } from "./wind";

const topology = world as unknown as Topology;
const LAND = feature(topology, topology.objects.land);
// Pixels of a map that are computed; while time moves, fewer.
const MOST_PIXELS = 450_000;
const MOVING_PIXELS = 200_000;

/** How finely to draw: `dragged` maps coarsely and without isolines and wind, `moving` ones a little coarser. */
export type Haste = "none" | "moving" | "dragged";
const NAMES: Record<Product, string> = {
  value: "forecast", mean: "mean of members", member: "member", spread: "spread (standard deviation)",
  above: "probability above", difference: "difference to truth",
};

export class Panel {
  readonly root: HTMLElement;
  private canvases: HTMLCanvasElement[] = [];
  private stage = make("div", { class: "stage" });
  private legend = make("div", { class: "legend" });
  private units = make("span", { class: "units" });
  private caption = make("div", { class: "caption" });
  private value: HTMLElement;
  private absent = make("div", { class: "absent" });
  private menus: Record<"source" | "init" | "variable" | "level" | "product" | "member", HTMLSelectElement>;
  private threshold = make("input", { label: "Threshold", title: "Threshold, in the units of the field" });
  private thresholdUnits = make("span", { class: "units" });
  lens!: Lens;
  private key = "";
  private raster = document.createElement("canvas");
  private lattice: { lens: Lens; held: ReturnType<typeof anchors> } | null = null;
  private particles: Particles | null = null;
  private haste: Haste = "none";

  constructor(
    private number: 0 | 1, private archive: Archive, private state: () => State,
    private change: (selection: Selection) => void,
  ) {
    const name = "ab"[number];
    const on = (id: string, label: string, choose: (index: number) => void) => menu(`${id}-${name}`, label, choose);
    this.menus = {
      source: on("source", "Forecast or truth", (index) => this.chooseSource(index)),
      init: on("init", "Initial time", (index) => this.chooseInit(index)),
      variable: on("variable", "Variable", (index) => this.chooseVariable(index)),
      level: on("level", "Level", (index) => this.chooseField(this.levelsOf(this.field.variable)[index].key)),
      product: on("product", "What to show", (index) => this.chooseProduct(this.products()[index])),
      member: on("member", "Member", (index) => this.change({ ...this.selection, member: this.pick(index) })),
    };
    this.threshold.id = `threshold-${name}`;
    this.threshold.type = "number";
    this.threshold.addEventListener("change", () => {
      const threshold = Number(this.threshold.value);
      if (this.threshold.value !== "" && Number.isFinite(threshold)) this.change({ ...this.selection, threshold });
    });
    this.value = make("output", { id: `value-${name}`, class: "value" });
    for (const layer of ["field", "coast", "over", "flow"]) {
      const canvas = make("canvas", { class: layer });
      this.canvases.push(canvas);
      this.stage.append(canvas);
    }
    this.stage.append(this.absent);
    this.stage.id = `map-${name}`;
    this.stage.tabIndex = 0;
    this.stage.setAttribute("aria-label", `Map ${number + 1}`);
    const { source, init, variable, level, product, member } = this.menus;
    this.root = make("section", { id: `panel-${name}`, class: "panel" },
      make("div", { class: "controls" }, source, init, variable, level, product, member, this.threshold, this.thresholdUnits),
      this.caption, this.stage, make("div", { class: "scale" }, this.legend, this.units), this.value);
  }

  get selection(): Selection {
    return this.state().panels[this.number];
  }
  get field(): Field {
    return this.archive.field(this.selection.field);
  }
  private get source() {
    return this.archive.about.sources[this.selection.source];
  }

  private fields(): Field[] {
    return this.archive.about.fields.filter((field) => this.source.fields.includes(field.key));
  }
  private levelsOf(variable: string): Field[] {
    return this.fields().filter((field) => field.variable === variable);
  }
  private variables(): string[] {
    return [...new Set(this.fields().map((field) => field.variable))];
  }

  products(): Product[] {
    if (this.source.truth) return ["value"];
    const difference: Product[] = this.archive.truth >= 0 ? ["difference"] : [];
    return this.source.members.length ? ["mean", "member", "spread", "above", ...difference] : ["value", ...difference];
  }

  private chooseSource(index: number): void {
    const sources = this.archive.about.sources, held = sources[index];
    const here = this.selection, field = held.fields.includes(here.field) ? here.field : held.fields[0];
    const start = this.source.inits?.[here.init];
    const init = Math.max(held.inits?.indexOf(start ?? NaN) ?? 0, 0);
    this.change({ source: index, init, field, product: held.members.length ? "mean" : "value", member: -1, threshold: here.threshold });
  }
  private chooseInit(index: number): void {
    this.change({ ...this.selection, init: index });
  }
  private chooseVariable(index: number): void {
    const levels = this.levelsOf(this.variables()[index]);
    this.chooseField((levels.find((field) => field.level === this.field.level) ?? levels[Math.floor(levels.length / 2)]).key);
  }
  chooseField(key: string): void {
    this.change({ ...this.selection, field: key, threshold: middle(this.archive.field(key).scale) });
  }
  chooseProduct(product: Product): void {
    if (!this.products().includes(product)) return;
    const member = product === "member" ? Math.max(this.selection.member, 0) : -1;
    const threshold = this.selection.threshold || middle(this.field.scale);
    this.change({ ...this.selection, product, member, threshold });
  }
  /** Member by the number in the menu: differences may be those of the mean, which stands first. */
  private pick(index: number): number {
    return this.selection.product === "difference" ? index - 1 : index;
  }
  nextMember(step: number): void {
    const { product, member } = this.selection, count = this.source.members.length;
    if (count && product === "member") this.change({ ...this.selection, member: (member + step + count) % count });
  }
  nextVariable(step: number): void {
    const all = this.variables(), at = all.indexOf(this.field.variable);
    this.chooseVariable((at + step + all.length) % all.length);
  }
  nextLevel(step: number): void {
    const all = this.levelsOf(this.field.variable), at = all.findIndex((field) => field.key === this.field.key);
    const next = all[at + step];
    if (next) this.chooseField(next.key);
  }

  private showControls(): void {
    const { selection, field, menus } = this, { sources } = this.archive.about;
    fill(menus.source, sources.map((source) => (source.truth ? `truth: ${source.name}` : source.name)), selection.source);
    const inits = this.source.inits ?? [];
    fill(menus.init, inits.map((init) => `from ${new Date(init * 1000).toISOString().slice(0, 16).replace("T", " ")}`), selection.init);
    menus.init.hidden = inits.length < 2;
    const variables = this.variables(), levels = this.levelsOf(field.variable);
    fill(menus.variable, variables, variables.indexOf(field.variable));
    fill(menus.level, levels.map((other) => (other.level === null ? "surface" : `${other.level} hPa`)), levels.findIndex((other) => other.key === field.key));
    menus.level.hidden = levels.length < 2;
    const products = this.products();
    fill(menus.product, products.map((product) => NAMES[product]), products.indexOf(selection.product));
    menus.product.hidden = products.length < 2;
    const members = this.source.members.map((member) => `member ${member}`);
    const difference = selection.product === "difference" && members.length > 0;
    fill(menus.member, difference ? ["mean", ...members] : members, selection.member + (difference ? 1 : 0));
    menus.member.hidden = !(selection.product === "member" || difference);
    this.threshold.hidden = this.thresholdUnits.hidden = selection.product !== "above";
    if (document.activeElement !== this.threshold) this.threshold.value = `${selection.threshold}`;
    this.thresholdUnits.textContent = field.units;
  }

  get scale(): Scale {
    const { product } = this.selection;
    return product === "spread" ? this.field.spread : product === "above" ? this.field.probability
      : product === "difference" ? this.field.difference : this.field.scale;
  }
  private get shownUnits(): string {
    const { product } = this.selection;
    return product === "above" ? "%" : product === "difference" || product === "spread" ? this.field.difference_units : this.field.units;
  }

  /** Draw everything for the present state. */
  draw(haste: Haste): void {
    this.haste = haste;
    this.showControls();
    this.look();
    const values = this.archive.at(this.selection, this.state().time);
    if (values !== undefined) this.paint(values);
    this.overlays(values ?? null);
    this.showLegend();
    this.showWords(values);
  }

  private look(): void {
    const state = this.state(), { stage } = this;
    const round = !["equal-earth", "plate-carree"].includes(state.projection);
    const width = Math.max(stage.clientWidth, 100);
    const height = Math.round(round ? Math.min(width, 560) : width * (state.projection === "plate-carree" ? 0.5 : 0.49));
    const key = [state.projection, state.centre, state.zoom, width, height, devicePixelRatio].join(" ");
    if (key === this.key) return;
    this.key = key;
    this.lens = new Lens(this.archive.about.grid, state, width, height);
    this.particles = null;
    stage.style.height = `${height}px`;
    for (const canvas of this.canvases) {
      canvas.width = Math.round(width * devicePixelRatio);
      canvas.height = Math.round(height * devicePixelRatio);
      canvas.getContext("2d")!.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    }
    this.coast();
  }

  private path(context: CanvasRenderingContext2D) {
    const { lens } = this;
    lens.projection.clipExtent([[-2, -2], [lens.width + 2, lens.height + 2]]);
    return { path: geoPath(lens.projection, context), done: () => lens.projection.clipExtent(null) };
  }

  private coast(): void {
    const context = this.canvases[1].getContext("2d")!;
    const { path, done } = this.path(context);
    const stroke = (thing: Parameters<typeof path>[0], colour: string, width: number) => {
      context.beginPath();
      path(thing);
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.stroke();
    };
    stroke(geoGraticule10(), "rgba(0, 0, 0, 0.12)", 0.6);
    stroke(LAND, "rgba(255, 255, 255, 0.55)", 2.2);
    stroke(LAND, "#1d1d1d", 0.9);
    stroke({ type: "Sphere" }, "#555555", 1);
    done();
  }

  private paint(values: Float32Array | null): void {
    const { lens } = this, context = this.canvases[0].getContext("2d")!;
    context.clearRect(0, 0, lens.width, lens.height);
    context.save();
    context.beginPath();
    const { path, done } = this.path(context);
    path({ type: "Sphere" });
    done();
    context.clip();
    context.fillStyle = "#d9d9d9"; // where values are missing
    context.fillRect(0, 0, lens.width, lens.height);
    if (values) {
      const most = this.haste === "none" ? MOST_PIXELS : this.haste === "moving" ? MOVING_PIXELS : MOST_PIXELS / 9;
      const raster = lens.raster(Math.min(devicePixelRatio, Math.sqrt(most / (lens.width * lens.height))));
      const { raster: canvas } = this, paint = canvas.getContext("2d")!;
      if (canvas.width !== raster.width || canvas.height !== raster.height) {
        [canvas.width, canvas.height] = [raster.width, raster.height];
      }
      const image = paint.createImageData(raster.width, raster.height);
      new Palette(this.scale).paint(values, raster, new Uint32Array(image.data.buffer), this.state().smooth);
      paint.putImageData(image, 0, 0);
      context.imageSmoothingEnabled = this.state().smooth;
      context.drawImage(canvas, 0, 0, lens.width, lens.height);
    }
    context.restore();
  }

  private overlays(values: Float32Array | null): void {
    const { lens } = this, state = this.state(), context = this.canvases[2].getContext("2d")!;
    context.clearRect(0, 0, lens.width, lens.height);
    if (this.haste !== "dragged" && state.isolines && values) {
      context.strokeStyle = "rgba(20, 20, 20, 0.75)";
      context.lineWidth = 0.9;
      const own = ["value", "mean", "member"].includes(this.selection.product) ? this.field.isolines : 0;
      drawIsolines(context, values, lens, spacing(own, this.scale));
    }
    const wind = this.haste === "dragged" || state.wind !== "arrows" ? null : this.wind();
    if (wind) {
      if (this.lattice?.lens !== lens) this.lattice = { lens, held: anchors(lens) };
      context.strokeStyle = "#101010";
      context.lineWidth = 1.2;
      drawArrows(context, lens, this.lattice.held, wind);
    }
    if (state.tracks) drawTracks(context, lens, this.archive.about.tracks, this.init, state.time);
    this.marker(context);
  }

  private marker(context: CanvasRenderingContext2D): void {
    const { point } = this.state();
    if (!point || !this.lens.seen(point[1], point[0])) return;
    const [x, y] = this.lens.projection([point[1], point[0]])!;
    for (const [colour, width] of [["#ffffff", 4], ["#c40d5e", 2]] as const) {
      context.beginPath();
      context.arc(x, y, 7, 0, 2 * Math.PI);
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.stroke();
    }
  }

  private get init(): number {
    return this.source.inits?.[this.selection.init] ?? this.archive.about.sources[0].inits![this.state().panels[0].init] ?? NaN;
  }

  /** The wind nearest to the level shown. */
  private wind(): Components | null {
    const level = this.field.level ?? 1013;
    const held = this.archive.about.winds.filter(({ u, v }) => [u, v].every((key) => this.source.fields.includes(key)));
    const away = ({ u }: { u: string }) => Math.abs((this.archive.field(u).level ?? 1013) - level);
    const best = held.sort((one, other) => away(one) - away(other))[0];
    if (!best) return null;
    const product: Product = this.selection.member >= 0 ? "member" : this.source.members.length ? "mean" : "value";
    const [u, v] = [best.u, best.v].map((field) => this.archive.at({ ...this.selection, field, product }, this.state().time));
    const reach = this.archive.field(best.u).scale.edges;
    return u && v ? { u, v, strongest: Math.max(Math.abs(reach[0]), Math.abs(reach[reach.length - 1])) } : null;
  }

  /** One step of the particles; called for each frame of the screen. */
  flow(): void {
    const context = this.canvases[3].getContext("2d")!;
    const wind = this.state().wind === "particles" && this.haste !== "dragged" ? this.wind() : null;
    if (!wind) {
      if (this.particles) context.clearRect(0, 0, this.lens.width, this.lens.height);
      this.particles = null;
      return;
    }
    this.particles ??= new Particles(this.lens, Math.round(this.lens.width * 1.6));
    context.strokeStyle = "rgba(15, 15, 15, 0.8)";
    context.lineWidth = 1.1;
    this.particles.step(context, wind);
  }

  private showLegend(): void {
    const { edges, colours } = this.scale;
    const key = [...edges, this.shownUnits].join(" ");
    if (this.legend.dataset.key === key) return;
    this.legend.dataset.key = key;
    const every = Math.ceil(edges.length / (this.stage.clientWidth < 500 ? 5 : 9));
    const digits = decimals(Math.abs(edges[1] - edges[0]) || 1);
    const offset = Math.floor((edges.length - 1) / 2) % every; // so that the middle is written
    this.legend.replaceChildren(...colours.map((colour, at) => {
      const swatch = make("span", { class: "swatch" });
      swatch.style.backgroundColor = colour;
      if (at > 0 && (at - 1) % every === offset) {
        swatch.append(make("span", { class: "edge" }, edges[at - 1].toFixed(digits)));
      }
      return swatch;
    }));
    this.units.textContent = this.shownUnits;
  }

  private showWords(values: Float32Array | null | undefined): void {
    const { selection, field } = this, state = this.state();
    const words = [selection.product === "value" ? "" : NAMES[selection.product]];
    if (selection.product === "above") words[0] += ` ${selection.threshold} ${field.units}`;
    if (selection.product === "member") words[0] += ` ${this.source.members[selection.member]}`;
    const start = this.source.inits?.[selection.init];
    this.caption.replaceChildren(
      make("b", {}, field.title), words[0] && ` · ${words[0]}`, ` · ${this.source.truth ? "truth" : this.source.name}`,
      start === undefined ? "" : ` · ${leadText(state.time - start)}`);
    this.absent.textContent = values === undefined ? "reading …"
      : values ? "" : selection.product === "difference" ? "No truth at this time" : "No values at this time";
    this.showValue(values ?? null);
  }

  private showValue(values: Float32Array | null): void {
    const { point } = this.state();
    this.value.hidden = !point;
    if (!point) return;
    const [row, column] = this.lens.nearest(point[0], point[1]), { latitude, longitude } = this.archive.about.grid;
    const found = values?.[row * longitude.length + column] ?? NaN;
    const fine = this.selection.product === "above" ? 0.1 : ["mean", "spread"].includes(this.selection.product) ? (this.field.step ?? 0.01) / 10 : this.field.step;
    const number = found === found ? `${found.toFixed(decimals(fine))} ${this.shownUnits}` : "no value";
    this.value.dataset.value = `${found}`;
    this.value.dataset.row = `${row}`;
    this.value.dataset.column = `${column}`;
    const cyclone = this.state().tracks ? nearestTrack(this.archive.about.tracks, this.init, this.state().time, point[1], point[0]) : "";
    this.value.textContent = `${number} at ${place(latitude[row], longitude[column])}` + (cyclone && ` · ${cyclone}`);
  }

  /** Values over time at a point, for charts: times, members, and what the truth says. */
  times(): number[] {
    return timesOf(this.source, this.selection.init);
  }
}

function middle(scale: Scale): number {
  return scale.edges[Math.floor(scale.edges.length / 2)];
}

export function place(latitude: number, longitude: number): string {
  const east = longitude > 180 ? longitude - 360 : longitude;
  const round = (degrees: number) => Number(Math.abs(degrees).toFixed(2));
  return `${round(latitude)}° ${latitude < 0 ? "S" : "N"} ${round(east)}° ${east < 0 ? "W" : "E"}`;
}
