// An answer: its question, its chart, what can be chosen of it, and its values as a table.

import { ask, count, element, link, rowsAt, shown, words } from "./dom.js";
import { Chart } from "./charts.js";
import { follow } from "./live.js";

const MOST_ROWS = 100; // of the table; there are links to all
const NOT_YET = 503;

const lastOf = (path) => decodeURIComponent(path.split("/").pop());

// The card of an answer; `show` fills it with the rows of now.
export class AnswerCard {
  constructor(answer, template) {
    this.answer = answer;
    this.figure = element("figure");
    this.table = element("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": answer.question });
    this.values = element("details", { class: "values" }, element("summary", {}, "Values as a table"), this.table);
    this.links = element("p", { class: "links" });
    this.card = element("article", { id: `answer-${answer.name}`, class: answer.isDrawn && "wide" }, element("h3", {}, answer.question));
    if (template?.content.childElementCount) this.offer(template);
    this.card.append(this.figure, this.values, this.links);
    if (template?.dataset.live) follow(this.card, template.dataset.live);
    if (answer.chart) this.chart = new Chart(this.figure, (style) => this.specify(style));
    document.addEventListener("loaded", () => this.show());
  }

  // What can be chosen, as a form; the answer follows each change.
  offer(template) {
    this.form = element("form", { class: "choices" }, template.content.cloneNode(true));
    this.form.addEventListener("change", () => this.show());
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.show(); });
    this.card.append(this.form);
  }

  // Where the rows are that are chosen, and the conditions on them.
  get chosen() {
    const conditions = new URLSearchParams();
    for (const [name, value] of this.form ? new FormData(this.form) : []) {
      if (value.trim()) conditions.set(name, value.trim());
    }
    const search = this.form?.querySelector("[data-search]"), text = search?.value.trim();
    if (!text) return { path: this.answer.url, conditions };
    const of = search.form.querySelector("[data-of]").selectedOptions[0];
    return { path: of.dataset.rows, conditions: new URLSearchParams({ [of.value]: text }), renamed: of.dataset.renamed };
  }

  // The chart as a picture, where it is one of the answer's own rows.
  picture(conditions, path) {
    if (!this.chart || (path !== this.answer.url && !this.answer.isDrawn)) return [];
    return [link(`${this.answer.chart.replace(/json$/, "svg")}?${conditions}`, "Picture")];
  }

  specify(style) {
    const { isDrawn, chart } = this.answer;
    // What has its rows in its specification is specified by what is chosen.
    return ask(`${chart}?${new URLSearchParams([...isDrawn ? this.chosen.conditions : [], ...style])}`);
  }

  async show() {
    const turn = this.turn = (this.turn ?? 0) + 1, { path, conditions, renamed } = this.chosen;
    const as = (format) => `${path}?${new URLSearchParams([...conditions, ["format", format]])}`;
    try {
      const specified = this.chart?.specification();
      specified?.catch(() => {}); // it is told below
      const rows = this.answer.isDrawn ? (await specified).data.values : await rowsAt(as("ndjson"));
      if (turn !== this.turn) return; // something else was chosen meanwhile
      this.offerValues(rows);
      this.showTable(rows);
      this.links.replaceChildren(link(as("csv"), "CSV"), link(as("json"), "JSON"), ...this.picture(conditions, path),
        ...this.answer.tables.map((table) => link(table, `Table ${lastOf(table)}`)));
      this.values.open = !this.chart;
      if (!rows.length) this.tell("There are no such rows.");
      else if (this.chart) await this.chart.draw(specified, this.drawn(rows, renamed));
    } catch (error) {
      if (turn === this.turn) this.tell(error.status === NOT_YET ? "It is there once its data have come in." : error.message);
    }
  }

  // The rows as the chart wants them: those of another table by the names of this one.
  drawn(rows, renamed) {
    if (this.answer.isDrawn) return undefined;
    if (!renamed) return rows;
    const [from, to] = renamed.split(" ");
    return rows.map((row) => ({ ...row, [to]: row[from] }));
  }

  tell(text) {
    this.figure.replaceChildren(element("p", { class: "missing" }, text));
  }

  // A choice of values of a column has those that there are when nothing is chosen yet.
  offerValues(rows) {
    for (const choice of this.form?.querySelectorAll("select[data-values]:not([data-offered])") ?? []) {
      choice.dataset.offered = "";
      const found = new Set(rows.map((row) => row[choice.dataset.values]));
      choice.append(...[...found].sort().map((value) => element("option", {}, value)));
    }
  }

  // The value of a row's first column, which leads to the rows of the table that have it.
  rowsOf(name, value) {
    const isOfTable = this.answer.columns.some((column) => column.name === name) && value !== null;
    return isOfTable ? link(`${this.answer.tables[0]}?${new URLSearchParams({ [name]: value })}`, shown(value, name)) : shown(value, name);
  }

  showTable(rows) {
    this.values.hidden = !rows.length;
    if (!rows.length) return;
    const names = Object.keys(rows[0]);
    const comments = Object.fromEntries(this.answer.columns.map((column) => [column.name, column.description]));
    const isNumber = (name) => rows.some((row) => typeof row[name] === "number");
    const css = Object.fromEntries(names.map((name) => [name, isNumber(name) ? "number" : null]));
    const heads = names.map((name) => element("th", { scope: "col", class: css[name], title: comments[name] }, words(name)));
    const body = rows.slice(0, MOST_ROWS).map((row) => element("tr", {},
      ...names.map((name, n) => element("td", { class: css[name] }, n ? shown(row[name], name) : this.rowsOf(name, row[name])))));
    const more = rows.length > MOST_ROWS ? [element("caption", {}, `The first ${MOST_ROWS} of ${count(rows.length)} rows`)] : [];
    this.table.replaceChildren(element("table", { class: "data" }, ...more,
      element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...body)));
  }
}
