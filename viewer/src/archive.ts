// Values of fields: decoded from the page, or asked of the server that wrote it.

import { inflateSync } from "fflate";
import { About, Field, timesOf } from "./about";

export type Product = "value" | "mean" | "member" | "spread" | "above" | "difference";

export interface Selection {
  source: number;
  init: number;
  field: string;
  product: Product;
  member: number;
  threshold: number;
}

/** Values on the grid, row by row; null where the source has none, undefined while they are on their way. */
export type Values = Float32Array | null | undefined;

const MOST_BYTES = 256 * 2 ** 20;
const MISSING = 65535;

class Cache<T extends { byteLength: number }> {
  private held = new Map<string, T>();
  private size = 0;
  get(key: string): T | undefined {
    const found = this.held.get(key);
    if (found) {
      this.held.delete(key);
      this.held.set(key, found);
    }
    return found;
  }
  set(key: string, value: T): T {
    this.held.set(key, value);
    this.size += value.byteLength;
    for (const [oldest, dropped] of this.held) {
      if (this.size <= MOST_BYTES || oldest === key) break;
      this.held.delete(oldest);
      this.size -= dropped.byteLength;
    }
    return value;
  }
}

export abstract class Archive {
  protected nodes: number;
  protected byKey: Map<string, Field>;
  constructor(readonly about: About) {
    this.nodes = about.grid.latitude.length * about.grid.longitude.length;
    this.byKey = new Map(about.fields.map((field) => [field.key, field]));
  }

  field(key: string): Field {
    return this.byKey.get(key)!;
  }

  /** Number of the truth among the sources, -1 without one. */
  get truth(): number {
    return this.about.sources.findIndex((source) => source.truth);
  }

  at(selection: Selection, time: number): Values {
    const source = this.about.sources[selection.source];
    if (!source.fields.includes(selection.field)) return null;
    const index = timesOf(source, selection.init).indexOf(time);
    if (index < 0) return null;
    if (selection.product !== "difference") return this.product(selection, index);
    const truth = this.truth;
    if (truth < 0) return null;
    const expected = this.at({ ...selection, source: truth, init: 0, product: "value" }, time);
    const product: Product = selection.member >= 0 ? "member" : source.members.length ? "mean" : "value";
    const found = this.product({ ...selection, product }, index);
    return found && expected ? found.map((value, node) => value - expected[node]) : found && expected;
  }

  /** Values of every member at one node, by time: [time][member]. */
  abstract series(selection: Selection, node: number): Promise<Float32Array[]>;
  protected abstract product(selection: Selection, index: number): Values;
}

export class Embedded extends Archive {
  private texts = new Map<string, string[]>();
  private blocks = new Cache<Float32Array>();
  private products = new Cache<Float32Array>();

  protected product(selection: Selection, index: number): Values {
    const { source, field, init, product, member, threshold } = selection;
    const count = this.about.sources[source].members.length || 1;
    if (product === "value" || product === "member") return this.frame(source, field, init, Math.max(member, 0), index);
    const key = [source, field, init, product, index, product === "above" ? threshold : 0].join(" ");
    return this.products.get(key) ?? this.products.set(key, this.combined(selection, index, count));
  }

  private combined({ source, field, init, product, threshold }: Selection, index: number, count: number) {
    const members = Array.from({ length: count }, (_, member) => this.frame(source, field, init, member, index));
    const out = new Float32Array(this.nodes);
    for (let node = 0; node < this.nodes; node++) {
      let sum = 0;
      for (let m = 0; m < count; m++) {
        const value = members[m][node];
        sum += product !== "above" ? value : value > threshold ? 100 : value === value ? 0 : NaN;
      }
      out[node] = sum / count;
    }
    if (product !== "spread") return out;
    return out.map((mean, node) => {
      let squares = 0;
      for (let m = 0; m < count; m++) squares += (members[m][node] - mean) ** 2;
      return Math.sqrt(squares / (count - 1));
    });
  }

  private frame(source: number, key: string, init: number, member: number, index: number): Float32Array {
    const { parts } = this.field(key);
    if (parts) {
      const [u, v] = parts.map((part) => this.frame(source, part, init, member, index));
      return u.map((value, node) => Math.hypot(value, v[node]));
    }
    const { sources, frames_a_block } = this.about;
    const { truth, members, times, leads } = sources[source];
    const count = (truth ? times! : leads!).length;
    const blocks = Math.ceil(count / frames_a_block);
    const number = Math.floor(index / frames_a_block);
    const name = `s${source}-${key}`;
    const place = (init * (members.length || 1) + member) * blocks + number;
    const frames = Math.min(frames_a_block, count - number * frames_a_block);
    const block = this.block(name, place, frames, this.field(key).step!);
    const at = (index % frames_a_block) * this.nodes;
    return block.subarray(at, at + this.nodes);
  }

  private block(name: string, place: number, frames: number, step: number): Float32Array {
    const key = `${name} ${place}`;
    const found = this.blocks.get(key);
    if (found) return found;
    let texts = this.texts.get(name);
    if (!texts) this.texts.set(name, (texts = document.getElementById(name)!.textContent!.split("\n")));
    const { longitude } = this.about.grid;
    return this.blocks.set(key, decoded(bytesOf(texts[place]), frames, this.nodes, longitude.length, step));
  }

  async series(selection: Selection, node: number): Promise<Float32Array[]> {
    const source = this.about.sources[selection.source];
    const count = source.members.length || 1;
    const found: Float32Array[] = [];
    const times = timesOf(source, selection.init);
    let began = performance.now();
    for (let index = 0; index < times.length; index++) {
      const values = new Float32Array(count);
      for (let m = 0; m < count; m++) values[m] = this.frame(selection.source, selection.field, selection.init, m, index)[node];
      found.push(values);
      if (performance.now() - began > 30) {
        await new Promise((resume) => setTimeout(resume));
        began = performance.now();
      }
    }
    return found;
  }
}

/** Frames of a block: the mirror image of airmass/plots/viewer/packing.py. */
function decoded(data: Uint8Array, frames: number, nodes: number, columns: number, step: number): Float32Array {
  const size = frames * nodes;
  const raw = inflateSync(data, { out: new Uint8Array(8 * frames + 2 * size) });
  const heads = new DataView(raw.buffer, raw.byteOffset);
  const low = 8 * frames, high = low + size;
  const out = new Float32Array(size);
  const above = new Uint16Array(columns); // sums of differences along the meridian, so far
  for (let frame = 0; frame < frames; frame++) {
    const least = heads.getInt32(8 * frame, true);
    const unit = step * 2 ** heads.getInt32(8 * frame + 4, true);
    above.fill(0);
    for (let at = frame * nodes; at < (frame + 1) * nodes; at += columns) {
      let west = 0;
      for (let column = 0; column < columns; column++) {
        const zigzag = raw[low + at + column] | (raw[high + at + column] << 8);
        above[column] += (zigzag >> 1) ^ -(zigzag & 1);
        west = (west + above[column]) & 65535;
        out[at + column] = west === MISSING ? NaN : (least + west) * unit;
      }
    }
  }
  return out;
}

function bytesOf(text: string): Uint8Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** Values from the server, which computes products of all members itself. */
export class Served extends Archive {
  private held = new Cache<Float32Array>();
  private asked = new Set<string>();
  constructor(about: About, private arrived: () => void, private failed: (words: string) => void) {
    super(about);
  }

  protected product(selection: Selection, index: number): Values {
    const { source, field, init, product, member, threshold } = selection;
    const what = product === "member" || product === "value" ? `${Math.max(member, 0)}` : product;
    const query: Record<string, string> = { source: `${source}`, field, init: `${init}`, time: `${index}`, product: what };
    if (product === "above") query.threshold = `${threshold}`;
    const address = `frame?${new URLSearchParams(query)}`;
    const found = this.held.get(address);
    if (!found && !this.asked.has(address)) void this.ask(address);
    return found;
  }

  private async ask(address: string): Promise<void> {
    this.asked.add(address);
    try {
      this.held.set(address, await numbers(address));
      this.arrived();
    } catch (error) {
      this.failed((error as Error).message);
    } finally {
      this.asked.delete(address);
    }
  }

  async series(selection: Selection, node: number): Promise<Float32Array[]> {
    const { source, field, init } = selection;
    const query = new URLSearchParams({ source: `${source}`, field, init: `${init}`, node: `${node}` });
    const all = await numbers(`series?${query}`);
    const count = this.about.sources[source].members.length || 1;
    return Array.from({ length: all.length / count }, (_, time) => all.subarray(time * count, (time + 1) * count));
  }
}

async function numbers(address: string): Promise<Float32Array> {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(await answer.text());
  return new Float32Array(await answer.arrayBuffer());
}
