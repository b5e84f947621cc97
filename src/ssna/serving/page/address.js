// The state of the page as its address: a link shows the same again.

import { isSet, readFilter } from "./conditions.js";
import { isServed, served, shown, shownKinds, state } from "./state.js";

const MOST_RAISED = 2; // in deviations of scores, as the slider has it

const between = (least, most, value) => Math.min(most, Math.max(least, value));

// What of it cannot be shown here, in words.
export function readAddress() {
  const found = new URLSearchParams(location.hash.slice(1));
  const known = (name) => (isServed(name) ? name : "");
  state.user = found.get("user") ?? "";
  state.history = state.user ? [] : found.getAll("h");
  state.k = between(1, 100, Number.parseInt(found.get("k") ?? "10", 10) || 10);
  state.seen = found.get("seen") === "1";
  state.newItems = between(0, MOST_RAISED, Number(found.get("new_items")) || 0);
  state.diversity = between(0, 1, Number(found.get("diversity")) || 0);
  state.run = known(found.get("run")) || served.runs[0].name;
  state.compareWith = found.get("compare_with") === state.run ? "" : known(found.get("compare_with"));
  state.item = found.get("why") ?? "";
  state.whyRun = known(found.get("of")) || state.run;
  state.text = found.get("text") ?? "";
  const gone = new Set(["run", "compare_with", "of"].map((part) => found.get(part)).filter((name) => name && !isServed(name)));
  const missing = gone.size ? `No run called ${[...gone].join(" or ")} is served here: what you see is by ${shown().join(" and ")}.` : "";
  return [missing, readFilters(found.get("filter"))].filter(Boolean).join(" ");
}

function readFilters(written) {
  state.filters = new Map();
  if (written === null) return "";
  let given = null;
  try { given = JSON.parse(written); } catch { /* said below */ }
  if (given === null || typeof given !== "object") return "The filters of this address cannot be read.";
  const kinds = shownKinds(), left = [];
  for (const [name, value] of Object.entries(given)) {
    const read = kinds.has(name) ? readFilter(kinds.get(name), value) : null;
    if (read === null) left.push(name);
    else state.filters.set(name, read);
  }
  return left.length ? `No filter by ${left.join(" or ")} can be had here.` : "";
}

// A step of its own for the browser's Back, or in place of the last one.
export function writeAddress(how = "replaceState") {
  const parts = new URLSearchParams(state.user ? [["user", state.user]] : state.history.map((item) => ["h", item]));
  const filters = [...state.filters].filter(([, value]) => isSet(value));
  if (state.k !== 10) parts.set("k", state.k);
  if (state.seen) parts.set("seen", "1");
  if (state.newItems) parts.set("new_items", state.newItems);
  if (state.diversity) parts.set("diversity", state.diversity);
  if (filters.length) parts.set("filter", JSON.stringify(Object.fromEntries(filters)));
  if (state.run !== served.runs[0].name) parts.set("run", state.run);
  if (state.compareWith) parts.set("compare_with", state.compareWith);
  if (state.item) parts.set("why", state.item);
  if (state.item && state.whyRun !== state.run) parts.set("of", state.whyRun);
  if (state.text) parts.set("text", state.text);
  history[how](null, "", `#${parts}`);
}
