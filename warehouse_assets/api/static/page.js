// The page: each family with its answers, how fresh it is, and what was rejected.

import { answerCard } from "./answers.js";
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
  const { items } = await ask("/families");
  byId("families").replaceChildren(...items.map(familyTile));
  return items;
}

async function showAnswers() {
  const [families, { answers }] = await Promise.all([showFamilies(), ask("/answers")]);
  const byAddress = new Map(answers.map((answer) => [answer.address, answer]));
  const shown = [];
  byId("answers").replaceChildren(...families.map((family) => {
    const cards = family.answers.map((address) => answerCard(byAddress.get(address)));
    shown.push(...cards.map((card) => card.complete));
    return familySection(family, cards.map((card) => card.card));
  }));
  await Promise.all(shown);
  performance.mark("complete");
}

const tell = (error) => byId("families").replaceChildren(element("li", { class: "missing", role: "alert" }, error.message));

document.addEventListener("loaded", () => showFamilies().catch(tell));
showAnswers().catch(tell);
