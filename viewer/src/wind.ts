// Wind over a map: arrows on an even lattice of pixels, or particles that drift.

import { Lens } from "./lens";

interface Anchor {
  x: number;
  y: number;
  row: number;
  column: number;
  axes: [number, number, number, number];
}

const SPACING = 30;
const FULL = 26; // pixels of an arrow of the strongest wind drawn to scale

export interface Components {
  u: Float32Array;
  v: Float32Array;
  strongest: number;
}

export function anchors(lens: Lens): Anchor[] {
  const found: Anchor[] = [];
  for (let y = SPACING / 2; y < lens.height; y += SPACING) {
    for (let x = SPACING / 2; x < lens.width; x += SPACING) {
      const place = lens.invert(x, y);
      if (!place || Math.abs(place[1]) > 88) continue;
      const axes = lens.axes(place[0], place[1]);
      const [row, column] = lens.nearest(place[1], place[0]);
      if (axes) found.push({ x, y, row, column, axes });
    }
  }
  return found;
}

export function drawArrows(context: CanvasRenderingContext2D, lens: Lens, held: Anchor[], wind: Components): void {
  const columns = lens.grid.longitude.length;
  context.beginPath();
  for (const { x, y, row, column, axes: [ex, ey, nx, ny] } of held) {
    const u = wind.u[row * columns + column], v = wind.v[row * columns + column];
    const speed = Math.hypot(u, v);
    if (!(speed > 0)) continue;
    const size = Math.min((FULL * speed) / wind.strongest, FULL * 1.3) / speed;
    const dx = (u * ex + v * nx) * size, dy = (u * ey + v * ny) * size;
    const length = Math.hypot(dx, dy);
    if (length < 2) continue;
    const tipX = x + dx / 2, tipY = y + dy / 2, head = Math.min(6, length / 2) / length;
    context.moveTo(x - dx / 2, y - dy / 2);
    context.lineTo(tipX, tipY);
    context.moveTo(tipX - (dx + dy * 0.6) * head, tipY - (dy - dx * 0.6) * head);
    context.lineTo(tipX, tipY);
    context.lineTo(tipX - (dx - dy * 0.6) * head, tipY - (dy + dx * 0.6) * head);
  }
  context.stroke();
}

interface Particle {
  longitude: number;
  latitude: number;
  age: number;
}

const LIFE = 90; // frames

export class Particles {
  private held: Particle[];
  constructor(private lens: Lens, count: number) {
    this.held = Array.from({ length: count }, () => this.born());
  }

  private born(): Particle {
    const latitude = (Math.asin(2 * Math.random() - 1) * 180) / Math.PI;
    return { longitude: 360 * Math.random(), latitude, age: Math.floor(LIFE * Math.random()) };
  }

  /** Move every particle and draw the way that it took; what was drawn before fades. */
  step(context: CanvasRenderingContext2D, wind: Components): void {
    const { lens } = this, columns = lens.grid.longitude.length;
    context.globalCompositeOperation = "destination-out";
    context.fillStyle = "rgba(0, 0, 0, 0.08)";
    context.fillRect(0, 0, lens.width, lens.height);
    context.globalCompositeOperation = "source-over";
    context.beginPath();
    const degrees = 0.9 / wind.strongest;
    for (let index = 0; index < this.held.length; index++) {
      const particle = this.held[index];
      const [row, column] = lens.nearest(particle.latitude, particle.longitude);
      const u = wind.u[row * columns + column], v = wind.v[row * columns + column];
      const { longitude, latitude } = particle;
      particle.longitude += (u * degrees) / Math.max(Math.cos((latitude * Math.PI) / 180), 0.1);
      particle.latitude += v * degrees;
      if (++particle.age > LIFE || Math.abs(particle.latitude) > 88 || !(u + v === u + v)) {
        this.held[index] = { ...this.born(), age: 0 };
        continue;
      }
      if (!lens.seen(longitude, latitude)) continue;
      const from = lens.projection([longitude, latitude]), to = lens.projection([particle.longitude, particle.latitude]);
      if (!from || !to || Math.abs(to[0] - from[0]) > 40) continue;
      context.moveTo(from[0], from[1]);
      context.lineTo(to[0], to[1]);
    }
    context.stroke();
  }
}
