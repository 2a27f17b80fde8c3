// The page: each family with its answers, how fresh it is, and what was rejected.

import { AnswerCard } from "./answers.js";
import { prepare } from "./charts.js";
import { ask, byId, count, element, link, since, words } from "./dom.js";
import "./uploads.js";

function familyTile(family) {
  const age = family.changed_at ? ["changed ", since(family.changed_at)] : ["nothing yet"];
  const rejected = family.rejected
    ? link(family.rejected_url, `${count(family.rejected)} rejected`)
    : element("span", { class: "hint" }, family.rejected === 0 ? "none rejected" : "");
  return element("li", {}, link(`#family-${family.name}`, words(family.name)), element("span", {}, ...age), rejected);
}

function familySection(family, cards) {
  const id = `family-${family.name}`;
  const tables = family.tables.map((table) => link(table, table.split("/").pop()));
  return element("section", { id, "aria-labelledby": `${id}-name` },
    element("h2", { id: `${id}-name` }, words(family.name)),
    element("div", { class: "cards" }, ...cards),
    element("p", { class: "links" }, "Tables: ", ...tables));
}

async function showFamilies() {
  const { items } = await ask("/v1/families");
  byId("families").replaceChildren(...items.map(familyTile));
  return items;
}

// The answers of a family, and what else the page asks about it.
function cardsOf(family, byUrl) {
  const answers = family.answers.map((url) => byUrl.get(url));
  const more = [...document.querySelectorAll(`template[data-family="${CSS.escape(family.name)}"]`)];
  return [
    ...answers.map((answer) => new AnswerCard(answer, document.querySelector(`template[data-answer="${CSS.escape(answer.name)}"]`))),
    ...more.map((template) => {
      const { name, question, url, chart, tables } = template.dataset;
      return new AnswerCard({ name, question, url, chart, isDrawn: true, tables: tables.split(" "), columns: [] }, template);
    }),
  ];
}

async function showAnswers() {
  const [families, { items: answers }] = await Promise.all([showFamilies(), ask("/v1/answers")]);
  if (families.some((family) => family.rejected !== null)) prepare();
  const byUrl = new Map(answers.map((answer) => [answer.url, answer]));
  const cards = families.map((family) => cardsOf(family, byUrl));
  byId("answers").replaceChildren(...families.map((family, n) => familySection(family, cards[n].map((one) => one.card))));
  await Promise.all(cards.flat().map((one) => one.show()));
  performance.mark("complete");
}

const tell = (error) => byId("families").replaceChildren(element("li", { class: "missing", role: "alert" }, error.message));

document.addEventListener("loaded", () => showFamilies().catch(tell));
showAnswers().catch(tell);
