// The description that the page carries, as airmass/plots/viewer/view.py writes it.

export interface Scale {
  edges: number[];
  colours: string[]; // one more than edges: below the first, between them, above the last
}

export interface Field {
  key: string;
  variable: string;
  level: number | null;
  title: string;
  units: string;
  difference_units: string;
  isolines: number;
  step?: number;
  error?: number;
  sum: boolean;
  parts?: [string, string]; // the wind's components, of a speed
  scale: Scale;
  difference: Scale;
  spread: Scale;
  probability: Scale;
}

export interface Source {
  name: string;
  path: string;
  members: number[];
  fields: string[];
  truth: boolean;
  times?: number[];
  inits?: number[];
  leads?: number[];
}

export interface Track {
  id: string;
  member: number | null;
  init: number | null;
  times: number[];
  lon: number[];
  lat: number[];
  wind: (number | null)[];
  slp: (number | null)[];
}

export interface About {
  title: string;
  version: string;
  made: string;
  served: boolean;
  grid: { latitude: number[]; longitude: number[] };
  fields: Field[];
  winds: { place: string; u: string; v: string }[];
  sources: Source[];
  tracks: Track[];
  notes: string[];
  frames_a_block: number;
}

export function readAbout(): About {
  const about = JSON.parse(document.getElementById("about")!.textContent!) as About;
  for (const source of about.sources) {
    for (const field of about.fields) {
      if (field.parts?.every((part) => source.fields.includes(part))) source.fields.push(field.key);
    }
  }
  return about;
}

/** Times (seconds since 1970) at which a source has values, from its initial time number `init`. */
export function timesOf(source: Source, init: number): number[] {
  if (source.truth) return source.times!;
  return source.leads!.map((lead) => source.inits![init] + lead);
}
