// Sends a file, and shows what becomes of it and of the latest ones as it happens.

import { ask, byId, count, element, link, since, size, words } from "./dom.js";

const ENDS = new Set(["succeeded", "failed"]);
const EVENTS = ["received", "queued", "started", "progress", "stored", "published", "succeeded", "failed"];
const LATEST = 10;
// A browser has six connections to a host; some have to stay free for everything else.
const MOST_FOLLOWED = 2;

const WORDS = {
  uploading: "sending", received: "received", queued: "waiting for a run", started: "being read",
  reading: "being read", checking: "being checked", storing: "being stored",
  stored: "stored", computing: "computing", publishing: "publishing", published: "publishing",
  succeeded: "done", failed: "failed",
};

function showState(shown, state, table) {
  shown.textContent = [WORDS[state] ?? state, table].filter(Boolean).join(" ");
  shown.dataset.state = state;
}

function showEvent(shown, name, data) {
  showState(shown, name === "progress" ? data.phase ?? "reading" : name, data.table);
}

// Calls back with each event of an ingestion until it is over; answers with a way to stop.
function follow(path, after, heed) {
  const source = new EventSource(`${path}?after=${after}`);
  for (const name of EVENTS) {
    source.addEventListener(name, (message) => {
      if (ENDS.has(name)) source.close();
      heed(name, JSON.parse(message.data));
    });
  }
  return () => source.close();
}

// --- sending ---

function showBar(share) {
  const bar = byId("bar");
  if (share === null) bar.removeAttribute("value");
  else bar.value = Math.round(100 * share);
}

const showStep = (text) => byId("steps").append(element("li", {}, text));
const showFigures = (...parts) => { byId("figures").textContent = parts.filter(Boolean).join(", "); };

function begin(name) {
  byId("live").hidden = false;
  byId("live-name").textContent = name;
  showFigures();
  byId("reason").textContent = "";
  byId("steps").replaceChildren();
  byId("submit").disabled = true;
  showState(byId("live-state"), "uploading");
  showBar(0);
}

function finish(reason) {
  byId("submit").disabled = false;
  if (reason) {
    showState(byId("live-state"), "failed");
    byId("reason").textContent = reason;
    byId("bar").value = 0;
  }
}

function send(file, path) {
  begin(file.name);
  const request = new XMLHttpRequest();
  const began = performance.now();
  request.upload.onprogress = (event) => {
    showBar(event.loaded / event.total);
    const rate = event.loaded / Math.max(0.001, (performance.now() - began) / 1000);
    showFigures(`sent ${size(event.loaded)} of ${size(event.total)}`, `${size(rate)} per second`);
  };
  request.onerror = () => finish("The service did not take the file: the connection was lost.");
  request.onload = () => {
    let answer = {};
    try { answer = JSON.parse(request.responseText); } catch { /* not from the service itself */ }
    if (request.status !== 202) {
      finish(answer.detail ?? `The service answered ${request.status}.`);
      return;
    }
    showLatest();
    follow(`${path}/${encodeURIComponent(answer.id)}/events`, 0, heed);
  };
  request.open("POST", `${path}?name=${encodeURIComponent(file.name)}`);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.send(file);
}

function heed(name, data) {
  showEvent(byId("live-state"), name, data);
  const told = [`${count(data.rows)} rows`, `${count(data.rejected ?? 0)} rejected`];
  if (name === "received") showStep("received");
  if (name === "queued" || name === "started") showBar(null);
  if (name === "progress") showProgress(data);
  if (name === "stored") {
    showBar(null);
    showStep("stored");
    showFigures(...told);
  }
  if (name === "published") showStep(data.table);
  if (name === "succeeded") {
    showBar(1);
    showStep("done");
    showFigures(...data.is_known ? ["This content was taken before: nothing has changed."] : told);
    document.dispatchEvent(new Event("loaded"));
  }
  if (ENDS.has(name)) {
    finish(name === "failed" ? data.reason : "");
    showLatest();
  }
}

function showProgress(data) {
  // What follows reading has no share in a bar that only moves forwards.
  if (data.phase && data.phase !== "reading") {
    showBar(null);
    return;
  }
  showBar(data.bytes_total ? data.bytes / data.bytes_total : null);
  showFigures(
    `${data.are_rows_estimated ? "about " : ""}${count(data.rows)} rows`,
    `${size(data.bytes)} of ${size(data.bytes_total)}`,
    data.rejected && `${count(data.rejected)} rejected`,
    data.rate && `${size(data.rate)} per second`,
  );
}

// --- the latest files ---

let stops = [];

// How many lines were rejected, leading to them.
function showRejected(cell, rejected, url) {
  const { pathname, search } = new URL(url);
  cell.replaceChildren(rejected ? link(pathname + search, count(rejected)) : count(rejected));
}

function row(ingestion) {
  const state = element("span", { class: "state" });
  showState(state, ingestion.status);
  const reason = ingestion.reason ? [element("small", {}, ingestion.reason)] : [];
  const rows = element("td", { class: "number" }, count(ingestion.rows));
  const rejected = element("td", { class: "number" });
  showRejected(rejected, ingestion.rejected, ingestion.rejected_url);
  const received = ingestion.received_at ? [since(ingestion.received_at)] : [];
  const shown = element("tr", {}, element("td", {}, ingestion.name), element("td", {}, state, ...reason),
    rows, rejected, element("td", {}, ...received));
  return { shown, state, rows, rejected };
}

async function showLatest() {
  const found = await Promise.all(kinds.map(async (path) => (await ask(`/v1${path}?limit=${LATEST}`)).items
    .map((ingestion) => ({ ...ingestion, path: `${path}/${encodeURIComponent(ingestion.id)}/events` })))).catch(() => []);
  const latest = found.flat().sort((a, b) => b.received_at?.localeCompare(a.received_at)).slice(0, LATEST);
  for (const stop of stops) stop();
  stops = [];
  if (!latest.length) return;
  const rows = [];
  for (const ingestion of latest) {
    const { shown, state, rows: taken, rejected } = row(ingestion);
    rows.push(shown);
    if (ingestion.is_over || stops.length === MOST_FOLLOWED) continue;
    stops.push(follow(ingestion.path, ingestion.last_event, (name, data) => {
      showEvent(state, name, data);
      if ("rows" in data) taken.textContent = count(data.rows);
      if ("rejected" in data) showRejected(rejected, data.rejected, ingestion.rejected_url);
      if (ENDS.has(name)) showLatest();
    }));
  }
  byId("ingestions").replaceChildren(...rows);
}

// --- start ---

let limit = Infinity, kinds = [];
ask("/").then((offered) => {
  limit = offered.upload_limit;
  byId("limit").textContent += ` At most ${size(limit)}.`;
  kinds = offered.routes.filter((route) => route.endsWith("/ingestions"));
  byId("kind").append(...kinds.map((path) => element("option", { value: path }, words(path.split("/")[1]))));
  return showLatest();
}).catch(() => {});

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const [file] = byId("file").files;
  if (!file) return;
  if (file.size > limit) {
    begin(file.name);
    finish(`The file has ${size(file.size)}; at most ${size(limit)} are taken.`);
    return;
  }
  send(file, byId("kind").value);
});
