// Elements, and numbers and times as people read them.

export const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en", { maximumFractionDigits: 3 });
const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 3, useGrouping: false });
const ago = new Intl.RelativeTimeFormat("en");
const UNITS = [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

// An element with attributes and children, which are elements or text.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(attribute, value);
  }
  made.append(...children);
  return made;
}

export const link = (address, ...children) => element("a", { href: address }, ...children);

export function count(value) {
  return value === null || value === undefined ? "" : number.format(value);
}

// A value of a column; years and ids are no quantities, in which thousands are told apart.
export function shown(value, column = "") {
  if (typeof value === "number") return (/(^|_)(id|year)$/.test(column) ? plain : number).format(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  return value === null || value === undefined ? "" : String(value);
}

export const words = (name) => name.replaceAll("_", " ");

export function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let value = bytes, unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${unit && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

// How long ago a time was, and the time itself where it is pointed at.
export function since(text) {
  const seconds = Math.max(0, (Date.now() - new Date(text)) / 1000);
  const [unit, long] = UNITS.find(([, long]) => seconds >= long) ?? ["second", 1];
  const told = seconds < 1 ? "now" : ago.format(-Math.floor(seconds / long), unit);
  return element("time", { datetime: text, title: new Date(text).toLocaleString() }, told);
}

export function duration(seconds) {
  const whole = Math.round(seconds), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  if (seconds < 60) return `${number.format(seconds)} s`;
  return [hours && `${hours} h`, `${minutes} min`, !hours && `${whole % 60} s`].filter(Boolean).join(" ");
}

// What an address answers; an error has what the service says of it.
export async function ask(address, read = "json") {
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (answer.ok) return answer[read]();
  const problem = await answer.json().catch(() => ({}));
  throw Object.assign(new Error(problem.detail ?? `The service answered ${answer.status}.`), { status: answer.status });
}

// All rows of an answer or a table.
export async function rowsAt(url) {
  const { pathname, searchParams } = new URL(url, location);
  searchParams.set("format", "ndjson");
  const text = await ask(`${pathname}?${searchParams}`, "text");
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}
