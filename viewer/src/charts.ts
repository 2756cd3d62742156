// Values over time at one point: a plume of the members, or a meteogram of several fields.

import { Field, timesOf } from "./about";
import { Archive, Selection } from "./archive";
import { decimals } from "./dom";

export interface Line {
  name: string;
  times: number[];
  values: Float32Array[]; // [time][member]
  colour: string;
  dashed?: boolean;
}

const COLOURS = ["#0072b2", "#d55e00"];

/** Lines of a field at a node: the panels' forecasts and the truth, each once. */
export async function lines(archive: Archive, panels: Selection[], field: string, node: number): Promise<Line[]> {
  const found: Line[] = [], { sources } = archive.about;
  for (const [number, panel] of panels.entries()) {
    const source = sources[panel.source], name = source.name;
    if (source.truth || !source.fields.includes(field) || found.some((line) => line.name === name)) continue;
    const values = await archive.series({ ...panel, field }, node);
    found.push({ name, times: timesOf(source, panel.init), values, colour: COLOURS[number % 2] });
  }
  const truth = archive.truth;
  if (truth >= 0 && sources[truth].fields.includes(field)) {
    const all = await archive.series({ ...panels[0], source: truth, init: 0, field }, node);
    const [first, last] = found.length ? [found[0].times[0], found[0].times.at(-1)!] : [-Infinity, Infinity];
    const kept = sources[truth].times!.map((time, at) => ({ time, at })).filter(({ time }) => time >= first && time <= last);
    const values = kept.map(({ at }) => all[at]);
    found.push({ name: "truth", times: kept.map(({ time }) => time), values, colour: "#000000", dashed: true });
  }
  return found;
}

/** Draw lines into a canvas: members thin, their mean thick, the middle half shaded, the present time marked. */
export function drawChart(canvas: HTMLCanvasElement, field: Field, found: Line[], time: number, height: number): void {
  const width = Math.max(canvas.parentElement!.clientWidth, 120), ratio = devicePixelRatio;
  [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d")!;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const frame = { left: 52, right: width - 10, top: 22, bottom: height - 22 };
  const times = found.flatMap((line) => line.times);
  const values = found.flatMap((line) => line.values.flatMap((at) => [...at])).filter(Number.isFinite);
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = "#333333";
  context.fillText(`${field.title}, ${field.units}`, 4, 13);
  if (!times.length || !values.length) return void context.fillText("no values here", frame.left, height / 2);
  const from = Math.min(...times), to = Math.max(...times, from + 3600);
  const ticks = roundSteps(Math.min(...values), Math.max(...values));
  const low = ticks[0], high = ticks[ticks.length - 1];
  const x = (at: number) => frame.left + ((at - from) / (to - from)) * (frame.right - frame.left);
  const y = (value: number) => frame.bottom - ((value - low) / (high - low)) * (frame.bottom - frame.top);
  axes(context, frame, ticks, from, to, x, y);
  for (const line of found) drawLine(context, line, x, y);
  names(context, found, frame.right);
  if (time >= from && time <= to) {
    context.strokeStyle = "#c40d5e";
    context.lineWidth = 1.2;
    segment(context, x(time), frame.top, x(time), frame.bottom);
  }
}

type Axis = (at: number) => number;

function axes(
  context: CanvasRenderingContext2D, frame: Record<string, number>, ticks: number[], from: number, to: number, x: Axis, y: Axis,
): void {
  context.strokeStyle = "#e0e3e7";
  context.lineWidth = 1;
  context.textAlign = "right";
  const digits = decimals(ticks[1] - ticks[0]);
  for (const tick of ticks) {
    segment(context, frame.left, y(tick), frame.right, y(tick));
    context.fillText(tick.toFixed(digits), frame.left - 6, y(tick) + 4);
  }
  context.textAlign = "center";
  const days = Math.max(1, Math.ceil(((to - from) / 86400) * 60 / (frame.right - frame.left)));
  for (let day = Math.ceil(from / 86400) * 86400; day <= to; day += 86400 * days) {
    segment(context, x(day), frame.top, x(day), frame.bottom);
    const words = new Date(day * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
    context.fillText(words, Math.min(x(day), frame.right - 16), frame.bottom + 15);
  }
  context.textAlign = "left";
}

function drawLine(context: CanvasRenderingContext2D, { times, values, colour, dashed }: Line, x: Axis, y: Axis): void {
  const members = values[0]?.length ?? 0;
  context.strokeStyle = colour;
  if (members > 1) {
    context.globalAlpha = 0.35;
    context.lineWidth = 0.8;
    for (let member = 0; member < members; member++) curve(context, times, values.map((at) => at[member]), x, y);
    context.globalAlpha = 1;
  }
  context.lineWidth = 2;
  context.setLineDash(dashed ? [5, 3] : []);
  curve(context, times, values.map((at) => at.reduce((sum, value) => sum + value, 0) / members), x, y);
  context.setLineDash([]);
}

function curve(context: CanvasRenderingContext2D, times: number[], values: number[], x: Axis, y: Axis): void {
  context.beginPath();
  let drawing = false;
  for (let at = 0; at < times.length; at++) {
    const held = Number.isFinite(values[at]);
    if (held && drawing) context.lineTo(x(times[at]), y(values[at]));
    else if (held) context.moveTo(x(times[at]), y(values[at]));
    drawing = held;
  }
  if (times.length === 1 && drawing) context.arc(x(times[0]), y(values[0]), 3, 0, 2 * Math.PI);
  context.stroke();
}

function names(context: CanvasRenderingContext2D, found: Line[], right: number): void {
  context.textAlign = "right";
  for (const { name, colour } of [...found].reverse()) {
    const words = name.length > 24 ? `${name.slice(0, 23)}…` : name;
    context.fillStyle = colour;
    context.fillText(words, right, 13);
    right -= context.measureText(words).width + 14;
  }
  context.textAlign = "left";
  context.fillStyle = "#333333";
}

function segment(context: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

function roundSteps(low: number, high: number): number[] {
  const reach = high - low || Math.max(Math.abs(high), 1) * 0.01;
  const power = 10 ** Math.floor(Math.log10(reach / 4));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((size) => reach / size <= 5)!;
  const found = [];
  const first = Math.floor(low / step), last = Math.ceil(high / step);
  for (let at = first; at <= Math.max(last, first + 1); at++) found.push(at * step);
  return found;
}
