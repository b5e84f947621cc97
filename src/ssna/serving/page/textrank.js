// Where a text would rank, were it a new item.

import { $, decimals, described, element, hint, number, ordinal, refusal } from "./elements.js";
import { state } from "./state.js";

export function drawTextRank(found, problem) {
  if (problem) return $("text-rank").replaceChildren(refusal(problem));
  if (!found) return $("text-rank").replaceChildren(state.text.trim() ? hint("Add an item to the history: a text is ranked after one.") : "");
  const near = found.similar.slice(0, 5);
  const digits = decimals(near.map((item) => item.score));
  $("text-rank").replaceChildren(
    element("p", { id: "rank" }, `It would rank ${ordinal(found.rank)} of ${found.among.toLocaleString("en")} (score ${number(found.score)}).`),
    element("h3", {}, "Nearest items"),
    element("ol", {}, ...near.map(({ item, score }) => element("li", {}, ...described(item), element("span", { class: "id" }, ` · ${number(score, digits)}`)))));
}
