// Charts, drawn by Vega-Lite from the specification that an answer declares.

import { rowsAt } from "./dom.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const OPTIONS = {
  // The policy of the page allows neither code in texts nor styles that are not in its own file.
  ast: true, defaultStyle: false, tooltip: { disableDefaultStyle: true },
  actions: false, renderer: "svg", logLevel: 1,
};

// Vega would read CSV by making code of it, which the policy does not allow, either.
async function inlineRows(spec) {
  const parts = [];
  const look = (part) => {
    if (!part || typeof part !== "object") return;
    if (part.data?.url) parts.push(part);
    Object.values(part).forEach(look);
  };
  look(spec);
  const byUrl = Object.fromEntries(parts.map((part) => [part.data.url, rowsAt(part.data.url)]));
  await Promise.all(parts.map(async (part) => { part.data = { values: await byUrl[part.data.url] }; }));
}

let library;
export const prepare = () => { library ??= import("./vega.js"); };

// The chart in a figure, which `specify` answers for a style; drawn anew when the style changes.
export class Chart {
  constructor(figure, specify) {
    Object.assign(this, { figure, specify });
    dark.addEventListener("change", () => this.redraw());
    new ResizeObserver(() => {
      clearTimeout(this.waiting);
      this.waiting = setTimeout(() => this.figure.clientWidth !== this.width && this.redraw(), 200);
    }).observe(figure);
  }

  redraw() {
    if (this.view) this.draw(this.specification(), this.rows).catch(() => {});
  }

  // Ask for the specification in the style of now.
  specification() {
    this.width = this.figure.clientWidth;
    const width = Math.max(240, Math.min(2000, this.width));
    return this.specify(new URLSearchParams({ width, theme: dark.matches ? "dark" : "light" }));
  }

  // Draw a specification, of these rows if it has none of its own.
  async draw(specification, rows) {
    prepare();
    const turn = this.turn = (this.turn ?? 0) + 1;
    const [{ vegaEmbed }, { title, ...spec }] = await Promise.all([library, specification]);
    this.rows = rows;
    if (rows) spec.data = { values: rows.slice(0, spec.usermeta?.first_rows ?? rows.length) };
    await inlineRows(spec);
    if (turn !== this.turn) return;
    spec.config = { ...spec.config, background: "transparent" };
    this.view?.finalize();
    const box = document.createElement("div");
    ({ view: this.view } = await vegaEmbed(box, spec, OPTIONS));
    this.figure.replaceChildren(box);
  }
}
