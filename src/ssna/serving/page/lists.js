// Recommendations: a list of each run, and how two of them differ.

import { $, bar, decimals, described, element, number, ordinal, redraw, refusal } from "./elements.js";
import { applicable, hasVectors, raises, shown, state } from "./state.js";
import { isSet } from "./conditions.js";

// `act`: what adding an item and asking why do.
export function drawLists(answers, problem, act) {
  $("aside").append($("panel"));
  if (problem) return redraw($("recommendations"), [refusal(problem)]);
  const ranks = answers.map(({ items }) => new Map(items.map((found, position) => [found.item, position + 1])));
  const lists = shown().map((name, column) => {
    const { items } = answers[column];
    const scores = items.map((found) => found.score);
    const scale = { most: Math.max(...scores.map(Math.abs)), digits: decimals(scores) };
    const rows = items.map((found, position) => recommendedRow(found, position + 1, scale, name, difference(found.item, position + 1, column, ranks), act));
    return element("div", { class: column === 1 && "second" },
      element("h2", {}, name, " ", element("small", {}, note(answers[column], name))),
      element("ol", { "data-run": name }, ...rows));
  });
  redraw($("recommendations"), [ranks.length === 2 ? overview(ranks) : "", element("div", { class: "lists" }, ...lists)]);
}

function note(answer, name) {
  const left = [...state.filters].filter(([attribute, value]) => isSet(value) && !applicable(name).has(attribute)).map(([attribute]) => attribute);
  const unknown = answer.unknown.length;
  const notes = [
    unknown && `${unknown} unknown, skipped`,
    state.newItems && !raises(name) && "New items are not raised",
    state.diversity && !hasVectors(name) && "Not diversified: it has no vectors",
    left.length && `Not filtered by ${left.join(", ")}`,
    answer.fallback === "popularity" && (state.history.length ? "No known item in the history: by popularity" : "By popularity"),
    !answer.items.length && (applicable(name).size ? "No item fulfils the filters" : "Nothing is left to recommend"),
  ];
  return notes.filter(Boolean).join(". ");
}

function overview(ranks) {
  const [left, right] = shown(), shared = [...ranks[0].keys()].filter((item) => ranks[1].has(item));
  const moves = shared.map((item) => Math.abs(ranks[0].get(item) - ranks[1].get(item)));
  const mean = moves.reduce((sum, move) => sum + move, 0) / moves.length;
  const apart = shared.length ? `, ${number(mean, Number.isInteger(mean) ? 0 : 1)} ${mean === 1 ? "place" : "places"} apart in the mean` : "";
  const only = [left, right].map((name, column) => `${ranks[column].size - shared.length} only in ${name}`).join(" · ");
  return element("p", { id: "overview" }, `${shared.length} in both${apart} · ${only}`);
}

// Where the other list has the item; nothing where there is one list.
function difference(item, rank, column, ranks) {
  if (ranks.length < 2) return null;
  const here = shown()[column], other = shown()[1 - column], otherRank = ranks[1 - column].get(item);
  if (otherRank === undefined) return element("span", { class: "only", title: `It is not among the ${ranks[1 - column].size} of ${other}` }, `only in ${here}`);
  const move = otherRank - rank, places = Math.abs(move) === 1 ? "place" : "places";
  const [sign, words] = move === 0 ? ["=", "the same place"] : move > 0 ? [`▲ ${move}`, `${move} ${places} higher`] : [`▼ ${-move}`, `${-move} ${places} lower`];
  const by = [element("span", { class: "by", "aria-hidden": "true" }, sign), element("span", { class: "unseen" }, words)];
  return element("span", { class: "moved" }, ...by, `, ${ordinal(otherRank)} in ${other}`);
}

function recommendedRow(found, rank, scale, run, differs, act) {
  const add = () => act.add(found.item);
  const why = () => act.why(found.item, run);
  const button = element("button", { class: "add", type: "button", name: "add", title: "Add to the history", onclick: add }, ...described(found.item), differs);
  const row = element("li", { tabindex: -1, "data-item": found.item, class: differs?.className === "only" && "alone" },
    element("span", { class: "position" }, String(rank)), button,
    element("span", {}, element("span", { class: "score" }, number(found.score, scale.digits)), " ",
      state.history.length ? element("button", { class: "small", type: "button", name: "why", "aria-label": `Why ${found.item}`, onclick: why }, "why") : null),
    bar(found.score, scale.most));
  row.addEventListener("keydown", (event) => { if (event.key === "w" && state.history.length) why(); });
  return row;
}
