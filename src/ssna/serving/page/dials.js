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
  $("filters").replaceChildren(...[...state.filters.keys()].filter((name) => kinds.has(name)).map((name, place) => filterRow(name, kinds.get(name), place)));
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
  const shownAs = (bound) => (kind === "time" ? String(bound).slice(0, 10) : bound);
  const bound = (end, words, limit) => {
    const input = element("input", {
      type: kind === "time" ? "date" : "number", step: kind === "time" ? undefined : "any", "aria-label": `${name} ${words}`,
      placeholder: limit === null || limit === undefined ? "any" : shownAs(limit), title: limit === null || limit === undefined ? undefined : `${end ? "The most" : "The least"} is ${shownAs(limit)}`,
      onchange: () => {
        const value = state.filters.get(name).slice();
        value[end] = input.value === "" ? null : kind === "time" ? input.value : Number(input.value);
        set(name, value);
      },
    });
    input.value = state.filters.get(name)[end] ?? "";
    return input;
  };
  return [bound(0, "from", known?.least), element("span", {}, "to"), bound(1, "to", known?.most)];
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
  const chips = chosen.map((value) => element("button", { class: "chip", type: "button", "aria-label": `Not ${value} any more`, onclick: () => change(chosen.filter((one) => one !== value)) }, value, element("span", { "aria-hidden": "true" }, " ×")));
  const values = (known?.values ?? []).filter((each) => !chosen.includes(each.value));
  const add = (event) => { const { value } = event.target; if (value && !chosen.includes(value)) change([...chosen, value]); };
  if (known && known.distinct <= known.values.length)
    return [...chips, element("select", { "aria-label": `${name}: one more`, onchange: add },
      element("option", { value: "" }, chosen.length ? "or …" : "choose …"), ...values.map((each) => element("option", { value: each.value }, `${each.value} (${each.items.toLocaleString("en")})`)))];
  const list = `filter-${place}`;
  return [...chips, element("input", { list, maxlength: 1000, autocomplete: "off", "aria-label": `${name}: one more`, placeholder: chosen.length ? "or …" : "type a value", onchange: add }),
    element("datalist", { id: list }, ...values.map((each) => element("option", { value: each.value })))];
}
