// The page: sends a file, and shows what becomes of it and of the latest ones as it happens.

const INGESTIONS = "/trips/ingestions";
const ENDS = new Set(["succeeded", "failed"]);
const EVENTS = ["received", "queued", "started", "progress", "stored", "published", "succeeded", "failed"];
const LATEST = 10;
// A browser has six connections to a host; some have to stay free for everything else.
const MOST_FOLLOWED = 3;

const WORDS = {
  uploading: "sending", received: "received", queued: "waiting for a run", started: "being read",
  reading: "being read", checking: "being checked", storing: "being stored",
  stored: "stored", computing: "computing", publishing: "publishing", published: "publishing",
  succeeded: "done", failed: "failed",
};

const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");
const time = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });

function count(value) {
  return value === null || value === undefined ? "" : number.format(value);
}

function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let value = bytes, unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${unit && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

function showState(element, state, table) {
  element.textContent = [WORDS[state] ?? state, table].filter(Boolean).join(" ");
  element.dataset.state = state;
}

function showEvent(element, name, data) {
  showState(element, name === "progress" ? data.phase ?? "reading" : name, data.table);
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

const live = { tables: 0 };

function showBar(share) {
  const bar = byId("bar");
  if (share === null) bar.removeAttribute("value");
  else bar.value = Math.round(100 * share);
}

function showStep(text) {
  const step = document.createElement("li");
  step.textContent = text;
  byId("steps").append(step);
}

function begin(name) {
  byId("live").hidden = false;
  byId("live-name").textContent = name;
  byId("figures").textContent = "";
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

function send(file) {
  begin(file.name);
  const request = new XMLHttpRequest();
  const began = performance.now();
  request.upload.onprogress = (event) => {
    showBar(event.loaded / event.total);
    const rate = event.loaded / Math.max(0.001, (performance.now() - began) / 1000);
    byId("figures").textContent = `sent ${size(event.loaded)} of ${size(event.total)}, ${size(rate)} per second`;
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
    follow(`${INGESTIONS}/${encodeURIComponent(answer.id)}/events`, 0, heed);
  };
  request.open("POST", `${INGESTIONS}?name=${encodeURIComponent(file.name)}`);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.send(file);
}

function heed(name, data) {
  showEvent(byId("live-state"), name, data);
  if (name === "received") showStep("received");
  if (name === "queued" || name === "started") showBar(null);
  if (name === "progress") showProgress(data);
  if (name === "stored") {
    showBar(null);
    showStep("stored");
    showFigures(data);
  }
  if (name === "published") showStep(data.table);
  if (name === "succeeded") {
    showBar(1);
    showStep("done");
    if (data.is_known) byId("figures").textContent = "This content was taken before: nothing has changed.";
    else showFigures(data);
    showPictures();
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
  const about = data.are_rows_estimated ? "about " : "";
  const parts = [`${about}${count(data.rows)} rows`, `${size(data.bytes)} of ${size(data.bytes_total)}`];
  if (data.rejected) parts.push(`${count(data.rejected)} rejected`);
  if (data.rate) parts.push(`${size(data.rate)} per second`);
  byId("figures").textContent = parts.join(", ");
}

function showFigures(data) {
  byId("figures").textContent = `${count(data.rows)} rows, ${count(data.rejected ?? 0)} rejected`;
}

// --- the latest files ---

let stops = [];

// How many lines were rejected, leading to them.
function showRejected(cell, rejected, url) {
  cell.textContent = count(rejected);
  if (!rejected) return;
  const link = document.createElement("a");
  const { pathname, search } = new URL(url);
  link.href = pathname + search;
  link.textContent = cell.textContent;
  cell.replaceChildren(link);
}

function row(ingestion) {
  const element = document.createElement("tr");
  const cells = Array.from({ length: 5 }, () => element.insertCell());
  cells[0].textContent = ingestion.name;
  const state = document.createElement("span");
  state.className = "state";
  showState(state, ingestion.status);
  cells[1].append(state);
  if (ingestion.reason) {
    const reason = document.createElement("small");
    reason.textContent = ingestion.reason;
    cells[1].append(reason);
  }
  cells[2].textContent = count(ingestion.rows);
  showRejected(cells[3], ingestion.rejected, ingestion.rejected_url);
  cells[2].className = cells[3].className = "number";
  if (ingestion.received_at) cells[4].textContent = time.format(new Date(ingestion.received_at));
  return { element, state, cells };
}

async function showLatest() {
  let page;
  try {
    page = await (await fetch(`${INGESTIONS}?limit=${LATEST}`)).json();
  } catch {
    return;
  }
  for (const stop of stops) stop();
  stops = [];
  if (!page.ingestions?.length) return;
  const rows = [];
  for (const ingestion of page.ingestions) {
    const shown = row(ingestion);
    rows.push(shown.element);
    if (ingestion.is_over || stops.length === MOST_FOLLOWED) continue;
    const path = `${INGESTIONS}/${encodeURIComponent(ingestion.id)}/events`;
    stops.push(follow(path, ingestion.last_event, (name, data) => {
      showEvent(shown.state, name, data);
      if ("rows" in data) shown.cells[2].textContent = count(data.rows);
      if ("rejected" in data) showRejected(shown.cells[3], data.rejected, ingestion.rejected_url);
      if (ENDS.has(name)) showLatest();
    }));
  }
  byId("ingestions").replaceChildren(...rows);
}

// --- pictures ---

function showPictures() {
  for (const image of document.querySelectorAll("figure img")) {
    // A page shows a picture that it has again without asking, unless it has been loaded anew.
    fetch(image.src, { cache: "reload" }).then(() => { image.src = image.src; }).catch(() => {});
  }
}

function hideMissing(image) {
  let note = image.nextElementSibling;
  const isMissing = image.complete && image.naturalWidth === 0;
  image.hidden = isMissing;
  if (isMissing && !note.classList.contains("missing")) {
    note = document.createElement("p");
    note.className = "missing";
    note.textContent = image.dataset.missing;
    image.after(note);
  } else if (!isMissing && note.classList.contains("missing")) {
    note.remove();
  }
}

for (const image of document.querySelectorAll("figure img")) {
  image.addEventListener("load", () => hideMissing(image));
  image.addEventListener("error", () => hideMissing(image));
  if (image.complete) hideMissing(image);
}

// --- start ---

let limit = Infinity;
fetch("/", { headers: { Accept: "application/json" } })
  .then((answer) => answer.json())
  .then((offered) => {
    limit = offered.upload_limit;
    byId("limit").textContent += ` At most ${size(limit)}.`;
  })
  .catch(() => {});

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const [file] = byId("file").files;
  if (!file) return;
  if (file.size > limit) {
    begin(file.name);
    finish(`The file has ${size(file.size)}; at most ${size(limit)} are taken.`);
    return;
  }
  send(file);
});

showLatest();
