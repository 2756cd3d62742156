// One projection at one size: from pixels to nodes of the grid, and from nodes to pixels.

import {
  GeoProjection, geoDistance, geoEqualEarth, geoEquirectangular, geoOrthographic, geoStereographic,
} from "d3-geo";
import type { Projection, State } from "./state";

export interface Grid {
  latitude: number[];
  longitude: number[];
}

/** For each pixel of a raster: the four nodes around it and the weights of the eastern and northern ones. */
export interface Raster {
  width: number;
  height: number;
  south: Int32Array; // node south-west; -1 outside the map
  east: Int32Array; // what to add for the node to the east
  north: Int32Array; // what to add for the node to the north
  x: Float32Array;
  y: Float32Array;
}

const FLAT: Projection[] = ["equal-earth", "plate-carree"];
const RADIANS = Math.PI / 180;

export class Lens {
  readonly projection: GeoProjection;
  readonly flat: boolean;
  private rasters = new Map<number, Raster>();
  private nodes: Float32Array | null = null;

  constructor(readonly grid: Grid, view: State, readonly width: number, readonly height: number) {
    this.flat = FLAT.includes(view.projection);
    this.projection = projectionOf(view, width, height);
  }

  /** Longitude and latitude of a pixel, null outside the globe. */
  invert(x: number, y: number): [number, number] | null {
    const found = this.projection.invert!([x, y]);
    if (!found || !found.every(Number.isFinite) || !this.seen(found[0], found[1])) return null;
    const back = this.projection(found);
    return back && Math.hypot(back[0] - x, back[1] - y) < 1 ? found : null;
  }

  seen(longitude: number, latitude: number): boolean {
    if (this.flat) return true;
    const [turned, tilted] = this.projection.rotate();
    return geoDistance([longitude, latitude], [-turned, -tilted]) < Math.PI / 2;
  }

  /** Index of the node nearest to a place. */
  nearest(latitude: number, longitude: number): [number, number] {
    const { latitude: rows, longitude: columns } = this.grid;
    const row = Math.round((latitude - rows[0]) / (rows[1] - rows[0]));
    const column = Math.round((((longitude % 360) + 360) % 360) / (360 / columns.length)) % columns.length;
    return [Math.min(Math.max(row, 0), rows.length - 1), column];
  }

  raster(scale: number): Raster {
    const made = this.rasters.get(scale) ?? this.makeRaster(scale);
    this.rasters.set(scale, made);
    return made;
  }

  private makeRaster(scale: number): Raster {
    const width = Math.max(1, Math.round(this.width * scale)), height = Math.max(1, Math.round(this.height * scale));
    const size = width * height;
    const raster: Raster = {
      width, height,
      south: new Int32Array(size).fill(-1), east: new Int32Array(size), north: new Int32Array(size),
      x: new Float32Array(size), y: new Float32Array(size),
    };
    for (let row = 0; row < height; row++) {
      if (this.flat) this.flatRow(raster, row, scale);
      else this.roundRow(raster, row, scale);
    }
    return raster;
  }

  /** A row of a flat map, on which latitude is constant and longitude is linear. */
  private flatRow(raster: Raster, row: number, scale: number): void {
    const y = (row + 0.5) / scale, middle = this.projection.translate()[0];
    const centre = this.projection.invert!([middle, y]), beside = this.projection.invert!([middle + 1, y]);
    if (!centre || !beside || !Number.isFinite(centre[1]) || Math.abs(centre[1]) > 90) return;
    const slope = ((((beside[0] - centre[0]) % 360) + 540) % 360) - 180;
    if (!(slope > 0)) return;
    for (let column = 0; column < raster.width; column++) {
      const away = ((column + 0.5) / scale - middle) * slope;
      if (Math.abs(away) <= 181) this.put(raster, row * raster.width + column, centre[0] + away, centre[1]);
    }
  }

  private roundRow(raster: Raster, row: number, scale: number): void {
    for (let column = 0; column < raster.width; column++) {
      const place = this.projection.invert!([(column + 0.5) / scale, (row + 0.5) / scale]);
      if (place && Number.isFinite(place[0]) && this.seen(place[0], place[1])) {
        this.put(raster, row * raster.width + column, place[0], place[1]);
      }
    }
  }

  private put(raster: Raster, pixel: number, longitude: number, latitude: number): void {
    const { latitude: rows, longitude: columns } = this.grid;
    const count = columns.length;
    const fi = Math.min(Math.max((latitude - rows[0]) / (rows[1] - rows[0]), 0), rows.length - 1);
    const fj = (((longitude % 360) + 360) % 360) / (360 / count);
    const i = Math.min(Math.floor(fi), rows.length - 2), j = Math.floor(fj) % count;
    raster.south[pixel] = i * count + j;
    raster.east[pixel] = j + 1 < count ? 1 : 1 - count;
    raster.north[pixel] = count;
    raster.x[pixel] = fj - Math.floor(fj);
    raster.y[pixel] = fi - i;
  }

  /** Pixels x, y of every node, NaN on the far side of a globe. */
  positions(): Float32Array {
    if (this.nodes) return this.nodes;
    const { latitude, longitude } = this.grid;
    this.nodes = new Float32Array(2 * latitude.length * longitude.length).fill(NaN);
    let at = 0;
    for (const north of latitude) {
      for (const east of longitude) {
        const place = this.seen(east, north) ? this.projection([east, north]) : null;
        if (place) this.nodes.set(place, at);
        at += 2;
      }
    }
    return this.nodes;
  }

  /** Unit vectors in pixels towards east and north at a place: [east x, east y, north x, north y]. */
  axes(longitude: number, latitude: number): [number, number, number, number] | null {
    const step = 0.05, narrow = Math.max(Math.cos(latitude * RADIANS), 0.02);
    const here = this.projection([longitude, latitude]);
    const east = this.projection([longitude + step / narrow, latitude]);
    const north = this.projection([longitude, Math.min(latitude + step, 89.99)]);
    if (!here || !east || !north) return null;
    const [ex, ey] = [east[0] - here[0], east[1] - here[1]], [nx, ny] = [north[0] - here[0], north[1] - here[1]];
    const e = Math.hypot(ex, ey), n = Math.hypot(nx, ny);
    return e > 0 && n > 0 && e < 20 && n < 20 ? [ex / e, ey / e, nx / n, ny / n] : null;
  }
}

function projectionOf({ projection, centre, zoom }: State, width: number, height: number): GeoProjection {
  const [east, north] = centre;
  if (FLAT.includes(projection)) {
    const made = (projection === "equal-earth" ? geoEqualEarth() : geoEquirectangular()).rotate([-east, 0]);
    made.fitExtent([[2, 2], [width - 2, height - 2]], { type: "Sphere" });
    made.scale(made.scale() * zoom).translate([width / 2, height / 2]);
    const middle = made([east, north])!;
    return made.translate([width / 2, height / 2 + (height / 2 - middle[1]) * (zoom > 1 ? 1 : 0)]);
  }
  const round = projection === "globe" ? geoOrthographic() : geoStereographic();
  const pole = projection === "north" ? -90 : projection === "south" ? 90 : -north;
  round.rotate([-east, pole]).clipAngle(90).translate([width / 2, height / 2]);
  const radius = (Math.min(width, height) / 2 - 2) * zoom;
  return round.scale(radius);
}
