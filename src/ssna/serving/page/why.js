// Why an item ranks where it does: the answer of POST /explain as tables.

import { bar, described, element, number, ordinal, title } from "./elements.js";

export function summary(found, run) {
  const nearest = found.history.filter((event) => event.similarity !== null).sort((a, b) => b.similarity - a.similarity)[0];
  return [
    element("p", { class: "subject" }, ...described(found.item.item)),
    element("p", {}, `${ordinal(found.rank)} of all that is not in the history, score ${number(found.item.score)}, by ${run}`),
    nearest ? element("p", { id: "nearest" }, "Nearest in the history: ", title(nearest.item), ` (cosine ${number(nearest.similarity)})`) : "",
  ];
}

export function details(found) {
  return [
    found.parts.length < 2 ? "" : table("What the score is made of", "parts", found.parts.map((part) => [part.scorer, part.score])),
    table("What each event of the history adds", "effects", found.history.map((event) => [title(event.item), event.effect])),
    ...(found.reading ? reading(found.reading) : []),
  ];
}

function table(heading, name, rows) {
  const most = Math.max(...rows.map((row) => Math.abs(row[1])));
  return element("div", {}, element("h3", {}, heading), element("table", { id: name }, ...rows.map(([label, value]) =>
    element("tr", {}, element("th", { scope: "row" }, element("span", { class: "text" }, label)),
      element("td", { class: "number" }, number(value)), element("td", { class: "meter" }, bar(value, most))))));
}

function reading(found) {
  const parts = [table("Text and learned vector, in the cosine", "shares", [["text", found.text], ["learned for this item", found.ids]])];
  if (found.layers.length)
    parts.push(table("What the cosine loses without a layer", "layers", found.layers.map((value, m) => [m === 0 ? "top layer" : `${ordinal(m + 1)} from the top`, value])));
  if (found.heads.length) {
    const rows = found.heads.map((weights, m) => element("tr", {}, element("th", { scope: "row" }, String(m + 1)),
      ...weights.map((weight) => {
        const cell = element("td", { title: `weight ${number(weight)}` }, weight.toFixed(2).replace("0.", "."));
        cell.style.background = `color-mix(in srgb, var(--first) ${Math.round(80 * weight)}%, transparent)`;
        return cell;
      })));
    parts.push(element("div", {}, element("h3", {}, "Heads that fired ", element("small", { class: "faint" }, "a row a layer, top first")),
      element("table", { class: "heads", id: "heads" }, ...rows)));
  }
  return parts;
}
