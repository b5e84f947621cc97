// What is asked for besides the history: filters by attributes, how far new items are raised, and diversity.

import { inWords, isRange, isSet, nothing } from "./conditions.js";
import { $, element, later } from "./elements.js";
import { ask } from "./service.js";
import { hasVectors, kindsOf, raises, shown, shownKinds, state } from "./state.js";

const described = new Map(); // run -> (attribute -> which values there are)
let changed; // what is called when other lists are wanted
let say; // what tells of trouble

export function startDials(act, tell) {
  [changed, say] = [act, tell];
  const soon = later(150, changed);
  const slide = (part, name) => $(part).addEventListener("input", () => { state[name] = Number($(part).value); drawSliders(); soon(); });
  slide("new-items", "newItems");
  slide("diversity", "diversity");
  $("add-filter").addEventListener("change", async () => {
    const name = $("add-filter").value;
    state.filters.set(name, nothing(shownKinds().get(name)));
    await drawDials();
    $("filters").lastElementChild.querySelector("input, select").focus();
  });
}

// Draws all of it, with the values that may be chosen.
export async function drawDials() {
  const unknown = state.filters.size ? shown().filter((run) => kindsOf(run).size && !described.has(run)) : [];
  const learnt = unknown.map(async (run) => {
    const { attributes } = await ask(`attributes?${new URLSearchParams({ run })}`);
    described.set(run, new Map(attributes.map((each) => [each.name, each])));
  });
  await Promise.all(learnt).catch((error) => say(error.message)); // values are typed, then
  $("raise").hidden = !shown().some(raises);
  $("diversify").hidden = !shown().some(hasVectors);
  $("filtering").hidden = shownKinds().size === 0;
  drawSliders();
  drawFilters();
}

function drawSliders() {
  [$("new-items").value, $("diversity").value] = [state.newItems, state.diversity];
  $("raised").textContent = state.newItems ? `raised by ${state.newItems}` : "as trained";
  $("diversified").textContent = state.diversity ? String(state.diversity) : "off";
  summarize();
}

// In a line: what a phone shows of the options while they are closed.
function summarize() {
  const kinds = shownKinds();
  const asked = [...state.filters].filter(([name, value]) => kinds.has(name) && isSet(value)).map(([name, value]) => inWords(name, kinds.get(name), value));
  if (state.newItems && shown().some(raises)) asked.push(`new items raised by ${state.newItems}`);
  if (state.diversity && shown().some(hasVectors)) asked.push(`diversity ${state.diversity}`);
  $("asked").textContent = asked.join(" · ");
}

function drawFilters() {
  const kinds = shownKinds();
  const asked = [...state.filters.keys()].filter((name) => kinds.has(name));
  $("filters").replaceChildren(...asked.map((name, place) => filterRow(name, kinds.get(name), place)));
  const others = [...kinds.keys()].filter((name) => !state.filters.has(name));
  $("add-filter").replaceChildren(element("option", { value: "" }, "by …"), ...others.map((name) => element("option", { value: name }, name)));
  $("add-filter").parentNode.hidden = others.length === 0;
  summarize();
}

function filterRow(name, kind, place) {
  const remove = () => {
    const counted = isSet(state.filters.get(name));
    state.filters.delete(name);
    drawFilters();
    $("add-filter").focus();
    if (counted) changed();
  };
  const known = shown().map((run) => described.get(run)?.get(name)).find(Boolean);
  const controls = isRange(kind) ? range(name, kind, known) : kind === "boolean" ? choice(name) : someOf(name, known, place);
  return element("li", { role: "group", "aria-label": `Filter by ${name}`, "data-attribute": name },
    element("span", { class: "name" }, name), ...controls,
    element("button", { class: "small", type: "button", name: "remove", "aria-label": `Remove the filter by ${name}`, onclick: remove }, "×"));
}

function set(name, value) {
  state.filters.set(name, value);
  summarize();
  changed();
}

function range(name, kind, known) {
  return [bound(name, kind, 0, known?.least), element("span", {}, "to"), bound(name, kind, 1, known?.most)];
}

// `limit`: the least or the most that there is, if it is known.
function bound(name, kind, end, limit) {
  const isTime = kind === "time", found = limit ?? null;
  const extreme = found === null ? undefined : isTime ? found.slice(0, 10) : found;
  const take = () => {
    const value = state.filters.get(name).slice();
    value[end] = input.value === "" ? null : isTime ? input.value : Number(input.value);
    set(name, value);
  };
  const input = element("input", {
    type: isTime ? "date" : "number", step: isTime ? undefined : "any", placeholder: extreme ?? "any", onchange: take,
    "aria-label": `${name} ${["from", "to"][end]}`, title: extreme === undefined ? undefined : `The ${["least", "most"][end]} is ${extreme}`,
  });
  input.value = state.filters.get(name)[end] ?? "";
  return input;
}

function choice(name) {
  const select = element("select", { "aria-label": name, onchange: () => set(name, { yes: true, no: false }[select.value] ?? null) },
    ...["any", "yes", "no"].map((word) => element("option", { value: word }, word)));
  const value = state.filters.get(name);
  select.value = value === null ? "any" : value ? "yes" : "no";
  return [select];
}

// A list to choose from where all values are known, else a box to type one in, with the most frequent ones below it.
function someOf(name, known, place) {
  const chosen = state.filters.get(name);
  const change = (value) => {
    state.filters.set(name, value);
    drawFilters();
    $("filters").children[place].querySelector("select, input").focus();
    changed();
  };
  const without = (value) => () => change(chosen.filter((one) => one !== value));
  const chips = chosen.map((value) => element("button", { class: "chip", type: "button", "aria-label": `Not ${value} any more`, onclick: without(value) },
    value, element("span", { "aria-hidden": "true" }, " ×")));
  const others = (known?.values ?? []).filter((each) => !chosen.includes(each.value));
  const add = (event) => { const { value } = event.target; if (value && !chosen.includes(value)) change([...chosen, value]); };
  const shared = { "aria-label": `${name}: one more`, onchange: add }, hint = chosen.length ? "or …" : null;
  if (known && known.distinct <= known.values.length) {
    const options = others.map((each) => element("option", { value: each.value }, `${each.value} (${each.items.toLocaleString("en")})`));
    return [...chips, element("select", shared, element("option", { value: "" }, hint ?? "choose …"), ...options)];
  }
  const list = `filter-${place}`;
  return [...chips, element("input", { ...shared, list, maxlength: 1000, autocomplete: "off", placeholder: hint ?? "type a value" }),
    element("datalist", { id: list }, ...others.map((each) => element("option", { value: each.value })))];
}
