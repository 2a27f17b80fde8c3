// An answer: its question, its chart, what can be chosen of it, and its values as a table.

import { ask, count, element, link, shown, words } from "./dom.js";
import { draw } from "./charts.js";
import { follow } from "./live.js";

const MOST_ROWS = 100; // of the table; there are links to all

const NOT_YET = 503;

const lines = (text) => text.split("\n").filter(Boolean).map((line) => JSON.parse(line));

// The section of an answer; `complete` resolves when all of it is shown.
export function answerCard(answer) {
  const controls = document.querySelector(`template[data-answer="${CSS.escape(answer.name)}"]`);
  const card = element("article", { id: `answer-${answer.name}` }, element("h3", {}, answer.question));
  const figure = element("figure");
  const table = element("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": answer.question });
  const values = element("details", { class: "values" }, element("summary", {}, "Values as a table"), table);
  const links = element("p", { class: "links" });
  const parts = { answer, figure, table, values, links, spec: answer.chart && ask(answer.chart) };
  if (controls) card.append(chooser(controls, parts));
  card.append(figure, values, links);
  if (controls?.dataset.live) follow(card, controls.dataset.live);
  document.addEventListener("loaded", () => show(parts));
  return { card, complete: show(parts) };
}

// What can be chosen, as a form; the answer follows each change.
function chooser(template, parts) {
  const form = element("form", { class: "choices" }, template.content.cloneNode(true));
  parts.form = form;
  parts.rowsOf = template.dataset;
  form.addEventListener("change", () => show(parts));
  form.addEventListener("submit", (event) => { event.preventDefault(); show(parts); });
  return form;
}

// Where the rows are that are chosen, as a function of their format.
function addressOf({ answer, form, rowsOf }) {
  const chosen = form ? [...new FormData(form)].filter(([, value]) => value.trim()) : [];
  const path = rowsOf?.rows ?? answer.address;
  return (format) => `${path}?${new URLSearchParams([...chosen.map(([name, value]) => [name, value.trim()]), ["format", format]])}`;
}

async function show(parts) {
  const { answer, figure, values, links, spec } = parts;
  const turn = parts.turn = (parts.turn ?? 0) + 1;
  const address = addressOf(parts);
  try {
    const rows = lines(await ask(address("ndjson"), "text"));
    if (turn !== parts.turn) return; // something else was chosen meanwhile
    offerValues(parts, rows);
    showTable(parts, rows);
    links.replaceChildren(
      link(address("csv"), "CSV"), link(address("json"), "JSON"),
      ...answer.tables.map((table) => link(table, `Table ${table.split("/").pop()}`)),
    );
    if (!spec || !rows.length) {
      figure.replaceChildren(rows.length ? "" : element("p", { class: "missing" }, "There are no such rows."));
      values.open = !spec && rows.length > 0;
      return;
    }
    await draw(figure, await spec, rows, answer.question);
  } catch (error) {
    if (turn !== parts.turn) return;
    const told = error.status === NOT_YET ? "It is there once its data have come in." : error.message;
    figure.replaceChildren(element("p", { class: "missing" }, told));
  }
}

// A choice of values of a column has those that there are when nothing is chosen yet.
function offerValues(parts, rows) {
  for (const choice of parts.form?.querySelectorAll("select[data-values]:not([data-offered])") ?? []) {
    choice.dataset.offered = "";
    const found = new Set(rows.map((row) => row[choice.dataset.values]));
    choice.append(...[...found].sort().map((value) => element("option", {}, value)));
  }
}

function showTable({ answer, table, values }, rows) {
  values.hidden = !rows.length;
  if (!rows.length) return;
  const names = Object.keys(rows[0]);
  const comments = Object.fromEntries(answer.columns.map((column) => [column.name, column.description]));
  const isNumber = (name) => rows.some((row) => typeof row[name] === "number");
  const css = Object.fromEntries(names.map((name) => [name, isNumber(name) ? "number" : null]));
  const heads = names.map((name) => element("th", { scope: "col", class: css[name], title: comments[name] }, words(name)));
  const body = rows.slice(0, MOST_ROWS).map((row) => element("tr", {},
    ...names.map((name) => element("td", { class: css[name] }, shown(row[name], name)))));
  const more = rows.length > MOST_ROWS ? [element("caption", {}, `The first ${MOST_ROWS} of ${count(rows.length)} rows`)] : [];
  table.replaceChildren(element("table", { class: "data" }, ...more,
    element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...body)));
}
