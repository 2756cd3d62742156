// A field as pixels, and its isolines.

import { Scale } from "./about";
import { Grid, Lens, Raster } from "./lens";

/** Colours ready to paint with: the step of a value by division where steps are even, else by search. */
export class Palette {
  private rgba: Uint32Array;
  private even: boolean;
  private first: number;
  private width: number;
  constructor(private scale: Scale) {
    const { edges, colours } = scale;
    this.rgba = Uint32Array.from(colours, (text) => {
      const rgb = parseInt(text.slice(1), 16);
      return (255 << 24) | ((rgb & 255) << 16) | (rgb & 0xff00) | (rgb >> 16);
    });
    this.first = edges[0];
    this.width = (edges[edges.length - 1] - edges[0]) / (edges.length - 1);
    this.even = edges.every((edge, at) => Math.abs(edge - this.first - at * this.width) < 1e-6 * Math.abs(this.width));
  }

  paint(values: Float32Array, raster: Raster, pixels: Uint32Array, smooth: boolean): void {
    const { south, east, north, x, y } = raster;
    const { rgba, first, width } = this;
    const last = rgba.length - 1;
    for (let pixel = 0; pixel < south.length; pixel++) {
      const a = south[pixel];
      if (a < 0) {
        pixels[pixel] = 0;
        continue;
      }
      const b = a + north[pixel], e = east[pixel], u = x[pixel], v = y[pixel];
      let value: number;
      if (smooth) {
        const below = values[a] + (values[a + e] - values[a]) * u;
        value = below + (values[b] + (values[b + e] - values[b]) * u - below) * v;
        if (value !== value) value = values[(v < 0.5 ? a : b) + (u < 0.5 ? 0 : e)];
      } else value = values[(v < 0.5 ? a : b) + (u < 0.5 ? 0 : e)];
      if (value !== value) {
        pixels[pixel] = 0;
        continue;
      }
      const step = this.even ? Math.floor((value - first) / width) + 1 : this.search(value);
      pixels[pixel] = rgba[step < 0 ? 0 : step > last ? last : step];
    }
  }

  private search(value: number): number {
    const { edges } = this.scale;
    let step = 0;
    while (step < edges.length && value >= edges[step]) step++;
    return step;
  }
}

/** Spacing of isolines of a field: its own, or about twelve round steps. */
export function spacing(isolines: number, scale: Scale): number {
  const reach = scale.edges[scale.edges.length - 1] - scale.edges[0];
  if (isolines) return isolines * Math.max(1, Math.ceil(reach / isolines / 40));
  const rough = reach / 12, power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((digit) => digit * power).find((step) => step >= rough)!;
}

/** Draw isolines by marching squares; crossings are placed between the pixels of two nodes. */
export function drawIsolines(context: CanvasRenderingContext2D, values: Float32Array, lens: Lens, step: number): void {
  const place = lens.positions(), { latitude, longitude } = lens.grid as Grid;
  const columns = longitude.length, farthest = lens.width / 4;
  const corner = [0, 0, 0, 0], xs: number[] = [0, 0, 0, 0], ys: number[] = [0, 0, 0, 0];
  context.beginPath();
  for (let row = 0; row + 1 < latitude.length; row++) {
    for (let column = 0; column < columns; column++) {
      const next = (column + 1) % columns;
      const nodes = [row * columns + column, row * columns + next, (row + 1) * columns + next, (row + 1) * columns + column];
      let low = Infinity, high = -Infinity;
      for (let k = 0; k < 4; k++) {
        const value = (corner[k] = values[nodes[k]]);
        if (value < low) low = value;
        if (value > high) high = value;
        xs[k] = place[2 * nodes[k]];
        ys[k] = place[2 * nodes[k] + 1];
      }
      const from = Math.ceil(low / step), to = Math.floor(high / step);
      if (!(from <= to) || to - from > 60 || !isFinite(low + high + xs[0] + xs[1] + xs[2] + xs[3])) continue;
      if (Math.max(...xs) - Math.min(...xs) > farthest) continue;
      for (let line = from; line <= to; line++) cell(context, corner, xs, ys, line * step);
    }
  }
  context.stroke();
}

function cell(context: CanvasRenderingContext2D, corner: number[], xs: number[], ys: number[], level: number): void {
  let started = false;
  for (let k = 0; k < 4; k++) {
    const next = (k + 1) & 3, a = corner[k], b = corner[next];
    if (a < level === b < level) continue;
    const part = (level - a) / (b - a);
    const x = xs[k] + part * (xs[next] - xs[k]), y = ys[k] + part * (ys[next] - ys[k]);
    if (started) context.lineTo(x, y);
    else context.moveTo(x, y);
    started = !started;
  }
}
