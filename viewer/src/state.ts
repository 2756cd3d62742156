// Everything that the page shows, and the link that restores it.

import { About, timesOf } from "./about";
import { Product, Selection } from "./archive";

export type Projection = "equal-earth" | "plate-carree" | "globe" | "north" | "south";
export type Wind = "none" | "arrows" | "particles";
export const PROJECTIONS: Projection[] = ["equal-earth", "plate-carree", "globe", "north", "south"];
export const WINDS: Wind[] = ["none", "arrows", "particles"];
const PRODUCTS: Product[] = ["value", "mean", "member", "spread", "above", "difference"];

export interface State {
  time: number;
  panels: [Selection, Selection];
  two: boolean;
  projection: Projection;
  centre: [number, number]; // longitude, latitude
  zoom: number;
  isolines: boolean;
  smooth: boolean;
  tracks: boolean;
  wind: Wind;
  point: [number, number] | null; // latitude, longitude
  chart: "plume" | "meteogram";
}

export function initial(about: About): State {
  const first = selection(about, 0);
  const other = selection(about, Math.min(1, about.sources.length - 1));
  return {
    time: timesOf(about.sources[0], 0)[0],
    panels: [first, other],
    two: false,
    projection: "equal-earth",
    centre: [0, 0],
    zoom: 1,
    isolines: false,
    smooth: true,
    tracks: about.tracks.length > 0,
    wind: "none",
    point: null,
    chart: "plume",
  };
}

function selection(about: About, source: number): Selection {
  const held = about.sources[source];
  const shared = held.fields.filter((key) => about.sources[0].fields.includes(key));
  const field = ["z500", "2t", "msl", ...shared, ...held.fields].find((key) => shared.includes(key)) ?? held.fields[0];
  return {
    source,
    init: 0,
    field,
    product: held.members.length ? "mean" : "value",
    member: -1,
    threshold: 0,
  };
}

export function toHash(state: State): string {
  const parts: Record<string, string> = {
    t: new Date(state.time * 1000).toISOString().slice(0, 16),
    a: panelText(state.panels[0]),
    b: panelText(state.panels[1]),
    n: state.two ? "2" : "1",
    p: state.projection,
    c: [...state.centre.map((degrees) => degrees.toFixed(1)), state.zoom.toFixed(2)].join(","),
    o: [state.isolines && "isolines", state.smooth && "smooth", state.tracks && "tracks"].filter(Boolean).join(","),
    w: state.wind,
  };
  if (state.point) parts.x = state.point.map((degrees) => degrees.toFixed(3)).join(",");
  if (state.chart !== "plume") parts.m = state.chart;
  return "#" + Object.entries(parts).map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join("&");
}

function panelText({ source, init, field, product, member, threshold }: Selection): string {
  return [source, init, field, product, member, threshold].join(",");
}

/** The state that a link says, as far as it fits this page; anything else in it is left as it was. */
export function fromHash(hash: string, about: About, state: State): State {
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  const found: State = { ...state, panels: [...state.panels] };
  for (const [index, key] of ["a", "b"].entries()) {
    const panel = panelFrom(parts.get(key), about);
    if (panel) found.panels[index] = panel;
  }
  const time = Date.parse(`${parts.get("t")}Z`) / 1000;
  const { source, init } = found.panels[0];
  if (timesOf(about.sources[source], init).includes(time)) found.time = time;
  found.two = parts.has("n") ? parts.get("n") === "2" : found.two;
  found.projection = oneOf(parts.get("p"), PROJECTIONS) ?? found.projection;
  found.wind = oneOf(parts.get("w"), WINDS) ?? found.wind;
  found.chart = oneOf(parts.get("m"), ["plume", "meteogram"] as const) ?? "plume";
  const view = numbersIn(parts.get("c"), 3);
  if (view && Math.abs(view[1]) <= 90 && view[2] >= 1 && view[2] <= 40) [found.centre, found.zoom] = [[view[0], view[1]], view[2]];
  const point = numbersIn(parts.get("x"), 2);
  if (point && Math.abs(point[0]) <= 90) found.point = [point[0], point[1]];
  if (parts.has("o")) {
    const on = parts.get("o")!.split(",");
    [found.isolines, found.smooth, found.tracks] = ["isolines", "smooth", "tracks"].map((word) => on.includes(word));
  }
  return found;
}

function panelFrom(text: string | null, about: About): Selection | null {
  const [source, init, field, product, member, threshold] = (text ?? "").split(",");
  const held = about.sources[Number(source)];
  const named = oneOf(product, PRODUCTS);
  if (!held?.fields.includes(field) || !named || !(Number(init) < (held.inits?.length ?? 1))) return null;
  if (!Number.isInteger(Number(init)) || Number(init) < 0 || !Number.isFinite(Number(threshold))) return null;
  const number = Number(member);
  if (!Number.isInteger(number) || number < -1 || number >= Math.max(held.members.length, 1)) return null;
  return { source: Number(source), init: Number(init), field, product: named, member: number, threshold: Number(threshold) };
}

function oneOf<T extends string>(text: string | null | undefined, known: readonly T[]): T | null {
  return known.find((word) => word === text) ?? null;
}

function numbersIn(text: string | null, count: number): number[] | null {
  const numbers = (text ?? "").split(",").map(Number);
  return text && numbers.length === count && numbers.every(Number.isFinite) ? numbers : null;
}
