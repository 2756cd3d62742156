// Elements made with their texts as text, never as markup.

type Options = { id?: string; class?: string; title?: string; label?: string };

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K, options: Options = {}, ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (options.id) element.id = options.id;
  if (options.class) element.className = options.class;
  if (options.title) element.title = options.title;
  if (options.label) element.setAttribute("aria-label", options.label);
  element.append(...children);
  return element;
}

/** A menu; `choose` gets the index of what was chosen. */
export function menu(id: string, label: string, choose: (index: number) => void): HTMLSelectElement {
  const element = make("select", { id, label, title: label });
  element.addEventListener("change", () => choose(element.selectedIndex));
  return element;
}

/** Replace a menu's words where they differ, and choose one. */
export function fill(element: HTMLSelectElement, words: string[], chosen: number): void {
  if (element.options.length !== words.length || words.some((word, at) => element.options[at].text !== word)) {
    element.replaceChildren(...words.map((word) => make("option", {}, word)));
  }
  element.selectedIndex = chosen;
}

export function button(id: string, words: string, title: string, press: () => void): HTMLButtonElement {
  const element = make("button", { id, title, label: title }, words);
  element.type = "button";
  element.addEventListener("click", press);
  return element;
}

export function toggle(id: string, words: string, title: string, change: (on: boolean) => void): HTMLInputElement {
  const element = make("input", { id, title, label: words });
  element.type = "checkbox";
  element.addEventListener("change", () => change(element.checked));
  return element;
}

export function utc(seconds: number): string {
  const date = new Date(seconds * 1000);
  const day = date.toLocaleDateString("en-GB", {
    weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC",
  });
  return `${day} ${date.toISOString().slice(11, 16)} UTC`;
}

export function leadText(seconds: number): string {
  const hours = seconds / 3600;
  const rounded = Number(hours.toFixed(2));
  return `+${rounded} h` + (hours >= 24 ? ` (day ${Number((hours / 24).toFixed(2))})` : "");
}

/** A value with as many decimals as the rounding of its field leaves. */
export function decimals(step: number | undefined): number {
  return step === undefined ? 2 : Math.min(8, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
}
