// A number that moves while it is looked at.

import { count, duration, element } from "./dom.js";

// Show the average of a stream of events at the top of a card.
export function follow(card, address) {
  const figure = element("strong", {}, "…"), note = element("span");
  card.querySelector("h3").after(element("p", { class: "moving" }, figure, note));
  new EventSource(address).addEventListener("average", (message) => {
    const now = JSON.parse(message.data);
    figure.textContent = now.average_seconds === null ? "none yet" : duration(now.average_seconds);
    note.textContent = `over ${count(now.successes)} deliveries; ${count(now.open)} open, ${count(now.abandoned)} abandoned`;
  });
}
