// The search: hits below the box, chosen with keys or with a click.

import { $, described, element, later } from "./elements.js";
import { ask, show } from "./service.js";

let marked = -1;
let listed = ""; // the query whose hits are shown
let awaited = ""; // the query whose first hit is taken as soon as it is there

// `take` gets the chosen item.
export function startSearch(take) {
  const chosen = (item) => {
    clear();
    take(item);
  };
  const soon = later(120, () => search(chosen));
  $("query").addEventListener("input", () => { awaited = ""; mark(-1); soon(); });
  $("query").addEventListener("keydown", (event) => onKey(event, chosen));
  $("query").addEventListener("blur", () => { if (!awaited) hide(); });
}

function onKey(event, chosen) {
  const count = $("found").children.length;
  const step = { ArrowDown: 1, ArrowUp: marked < 0 ? 0 : -1 }[event.key];
  if (step !== undefined) { event.preventDefault(); if (count) mark((marked + step + count) % count); }
  if (event.key === "Escape") clear();
  if (event.key !== "Enter") return;
  const query = $("query").value.trim();
  if (marked < 0 && query !== listed) { awaited = query; search(chosen); }
  else if (count) chosen($("found").children[Math.max(marked, 0)].dataset.item);
}

function search(chosen) {
  const query = $("query").value.trim();
  if (!query) return hide();
  return show("found", () => ask(`items?${new URLSearchParams({ query, limit: 20 })}`), (answer, problem) => {
    const items = (answer?.items ?? []).map((found) => found.item);
    const wanted = awaited === query;
    awaited = "";
    if (wanted && items.length) return chosen(items[0]);
    if (document.activeElement !== $("query")) return hide();
    draw(query, items, problem ? element("span", { class: "bad" }, problem) : note(items.length, answer.total), chosen);
  });
}

function note(count, total) {
  if (total === 0) return "Nothing found";
  return count < total ? `${count} of ${total.toLocaleString("en")}: more words find fewer` : "";
}

function draw(query, items, said, chosen) {
  listed = query;
  $("found").replaceChildren(...items.map((item, position) => element("li", { role: "option", id: `found-${position}`, "data-item": item,
    onmousedown: (event) => { event.preventDefault(); chosen(item); } }, ...described(item))));
  $("found").hidden = items.length === 0;
  $("found-note").replaceChildren(said);
  $("hits").classList.toggle("open", items.length > 0 || said !== "");
  $("query").setAttribute("aria-expanded", String(items.length > 0));
  mark(-1);
}

function mark(position) {
  const options = [...$("found").children];
  marked = position;
  options.forEach((option, other) => option.setAttribute("aria-selected", String(other === position)));
  options[position]?.scrollIntoView({ block: "nearest" });
  if (options[position]) $("query").setAttribute("aria-activedescendant", options[position].id);
  else $("query").removeAttribute("aria-activedescendant");
}

function hide() {
  return show("found", async () => null, () => draw("", [], ""));
}

function clear() {
  awaited = $("query").value = "";
  return hide();
}
