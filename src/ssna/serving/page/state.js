// What is shown, what the served runs can do, and what a request to one of them asks for.

import { whereOf } from "./conditions.js";

export const state = {
  user: "", history: [], k: 10, seen: false, newItems: 0, diversity: 0, filters: new Map(), run: "", compareWith: "", item: "", whyRun: "", text: "",
};
export const served = { runs: [] };

export const shown = () => [state.run, state.compareWith].filter(Boolean);
const named = (name) => served.runs.find((run) => run.name === name);
export const isServed = (name) => named(name) !== undefined;
export const raises = (name) => Boolean(named(name)?.raises_new_items);
export const hasVectors = (name) => Boolean(named(name)?.has_vectors);
export const kindsOf = (name) => new Map(Object.entries(named(name)?.attributes ?? {}));

// Attributes of the runs that are shown, and their kinds; the first run's kind counts.
export const shownKinds = () => new Map(shown().reverse().flatMap((name) => [...kindsOf(name)]));

export const raisedBy = (name) => (state.newItems && raises(name) ? { new_items: state.newItems } : {});

// Filters that a run has no such attribute for are left out: its list says so.
export function applicable(name) {
  const kinds = kindsOf(name), wanted = shownKinds();
  return new Map([...state.filters].filter(([attribute]) => kinds.has(attribute) && kinds.get(attribute) === wanted.get(attribute)));
}

export function rulesFor(name) {
  const where = whereOf(applicable(name), kindsOf(name));
  return { ...raisedBy(name), ...(state.diversity && hasVectors(name) ? { diversity: state.diversity } : {}), ...(where ? { where } : {}) };
}
