// Tracks of tropical cyclones over a map.

import { Track } from "./about";
import { Lens } from "./lens";

// Least wind in m/s (Saffir-Simpson: depression, storm, categories 1 to 5) and a colour from pale to dark.
const CATEGORIES: [number, string][] = [
  [0, "#7fb7dd"], [17.5, "#f7d35c"], [33, "#f5a13c"], [43, "#ea6a2a"], [50, "#cf3a2b"], [58, "#9c1f3f"], [70, "#5b1049"],
];

export function drawTracks(context: CanvasRenderingContext2D, lens: Lens, tracks: Track[], init: number, time: number): void {
  for (const track of tracks) {
    if (track.init !== null && track.init !== init) continue;
    const observed = track.init === null;
    context.lineWidth = observed ? 2.5 : track.member === null ? 2 : 1.2;
    context.strokeStyle = observed ? "#000000" : "rgba(60, 20, 70, 0.75)";
    line(context, lens, track);
    for (let at = 0; at < track.times.length; at++) {
      if (track.times[at] === time) point(context, lens, track, at);
    }
  }
}

function line(context: CanvasRenderingContext2D, lens: Lens, { lon, lat }: Track): void {
  context.beginPath();
  let before: [number, number] | null = null;
  for (let at = 0; at < lon.length; at++) {
    const place = lens.seen(lon[at], lat[at]) ? lens.projection([lon[at], lat[at]]) : null;
    if (place && before && Math.abs(place[0] - before[0]) < lens.width / 3) context.lineTo(place[0], place[1]);
    else if (place) context.moveTo(place[0], place[1]);
    before = place;
  }
  context.stroke();
}

function point(context: CanvasRenderingContext2D, lens: Lens, track: Track, at: number): void {
  if (!lens.seen(track.lon[at], track.lat[at])) return;
  const [x, y] = lens.projection([track.lon[at], track.lat[at]])!;
  const wind = track.wind[at];
  context.beginPath();
  context.arc(x, y, 5, 0, 2 * Math.PI);
  context.fillStyle = wind === null ? "#ffffff" : CATEGORIES.filter(([least]) => wind >= least).at(-1)?.[1] ?? "#ffffff";
  context.fill();
  context.lineWidth = 1.2;
  context.strokeStyle = "#222222";
  context.stroke();
}

/** Words for the cyclone nearest to a place at a time, empty if none is within two degrees. */
export function nearestTrack(tracks: Track[], init: number, time: number, longitude: number, latitude: number): string {
  let words = "", least = 2;
  for (const track of tracks) {
    const at = track.times.indexOf(time);
    if (at < 0 || (track.init !== null && track.init !== init)) continue;
    const away = Math.hypot(track.lat[at] - latitude, ((((track.lon[at] - longitude) % 360) + 540) % 360) - 180);
    if (away > least) continue;
    least = away;
    const member = track.member === null ? "" : `, member ${track.member}`;
    const wind = track.wind[at] === null ? "" : `, ${track.wind[at]!.toFixed(0)} m/s`;
    const pressure = track.slp[at] === null ? "" : `, ${(track.slp[at]! / 100).toFixed(0)} hPa`;
    words = `Cyclone ${track.id}${member}${wind}${pressure}`;
  }
  return words;
}
