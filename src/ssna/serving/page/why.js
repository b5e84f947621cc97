// Why an item ranks where it does: the answer of POST /explain as tables.

import { bar, decimals, described, element, number, ordinal, title } from "./elements.js";

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
    found.members.length < 2 ? "" : table("What each member of the ensemble adds", "", "members", found.members.map((member) => [member.scorer, member.score])),
    ...effects(found.history),
    ...(found.adapters ? adapters(found.adapters) : []),
  ];
}

function effects(events) {
  const digits = decimals(events.map((event) => event.effect));
  const shows = (event) => Number(event.effect.toFixed(digits)) !== 0;
  const strongest = events.filter(shows).sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect));
  const others = events.filter((event) => !shows(event));
  const count = others.length === 1 ? "1 event adds" : `${others.length} events add`;
  return [
    table("What each event of the history adds", strongest.length > 1 ? "strongest first" : "", "effects", strongest.map((event) => [title(event.item), event.effect])),
    others.length ? element("details", { id: "others" }, element("summary", {}, `${count} nothing that shows`), ...others.map((event) => element("p", { class: "text" }, title(event.item)))) : "",
  ];
}

function table(heading, order, name, rows) {
  const values = rows.map((row) => row[1]);
  const most = Math.max(...values.map(Math.abs));
  return element("div", {}, element("h3", {}, heading, " ", element("small", {}, order)), element("table", { id: name }, ...rows.map(([label, value]) =>
    element("tr", {}, element("th", { scope: "row" }, element("span", { class: "text" }, label)),
      element("td", { class: "number" }, number(value, decimals(values))), element("td", { class: "meter" }, bar(value, most))))));
}

function adapters(found) {
  const parts = [table("Text and id embedding, in the cosine", "", "contributions", [["text", found.text], ["id embedding", found.id_embedding]])];
  if (found.layers.length)
    parts.push(table("What the cosine loses without a layer", "", "layers", found.layers.map((value, m) => [m === 0 ? "top layer" : `${ordinal(m + 1)} from the top`, value])));
  if (found.expert_weights.length) {
    const rows = found.expert_weights.map((weights, m) => element("tr", {}, element("th", { scope: "row" }, String(m + 1)),
      ...weights.map((weight) => {
        const cell = element("td", { title: `weight ${number(weight)}` }, weight.toFixed(2).replace("0.", "."));
        cell.style.background = `color-mix(in srgb, var(--run) ${Math.round(80 * weight)}%, transparent)`;
        return cell;
      })));
    parts.push(element("div", {}, element("h3", {}, "Weights of the experts ", element("small", {}, "a row a layer, top first")),
      element("table", { class: "experts", id: "experts" }, ...rows)));
  }
  return parts;
}
