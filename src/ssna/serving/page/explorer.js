// The explorer: a history, its recommendations, and why. Its state is the address; texts of the catalogue are only ever text.

import { $, bar, decimals, described, element, hint, later, number, ordinal, refusal, texts } from "./elements.js";
import { startSearch } from "./search.js";
import { ask, show } from "./service.js";
import { details, summary } from "./why.js";

const EXPLAINED_HISTORY = 100; // events, as in limits.py
const MOST_RAISED = 2; // in deviations of scores, as the slider has it
const state = { history: [], k: 10, seen: false, newItems: 0, run: "", compareWith: "", item: "", whyRun: "", text: "" };
const unknown = new Map(); // item of the history -> who does not know it, in words
let runs = [];

const say = (message) => { $("status").textContent = message; };

// --- the address

function readAddress() {
  const found = new URLSearchParams(location.hash.slice(1));
  const served = (name) => runs.some((run) => run.name === name);
  const known = (name) => (served(name) ? name : "");
  state.history = found.getAll("h");
  state.k = Math.min(100, Math.max(1, Number.parseInt(found.get("k") ?? "10", 10) || 10));
  state.seen = found.get("seen") === "1";
  state.newItems = Math.min(MOST_RAISED, Math.max(0, Number(found.get("new_items")) || 0));
  state.run = known(found.get("run")) || runs[0].name;
  state.compareWith = found.get("compare_with") === state.run ? "" : known(found.get("compare_with"));
  state.item = found.get("why") ?? "";
  state.whyRun = known(found.get("of")) || state.run;
  state.text = found.get("text") ?? "";
  const missing = new Set(["run", "compare_with", "of"].map((part) => found.get(part)).filter((name) => name && !served(name)));
  say(missing.size ? `No run called ${[...missing].join(" or ")} is served here: what you see is by ${shown().join(" and ")}.` : "");
}

// A step of its own for the browser's Back, or in place of the last one.
function writeAddress(how = "replaceState") {
  const parts = new URLSearchParams(state.history.map((item) => ["h", item]));
  if (state.k !== 10) parts.set("k", state.k);
  if (state.seen) parts.set("seen", "1");
  if (state.newItems) parts.set("new_items", state.newItems);
  if (state.run !== runs[0].name) parts.set("run", state.run);
  if (state.compareWith) parts.set("compare_with", state.compareWith);
  if (state.item) parts.set("why", state.item);
  if (state.item && state.whyRun !== state.run) parts.set("of", state.whyRun);
  if (state.text) parts.set("text", state.text);
  history[how](null, "", `#${parts}`);
}

// --- history and recommendations

const shown = () => [state.run, state.compareWith].filter(Boolean);
const raises = (name) => runs.some((run) => run.name === name && run.raises_new_items);
const raisedBy = (name) => (state.newItems && raises(name) ? { new_items: state.newItems } : {});

function setHistory(items, moved = 0) {
  state.history = items;
  state.item = "";
  writeAddress("pushState");
  drawHistory(moved);
  refresh();
}

// Who had the focus in a row has it in the row at that position afterwards, on the same button if there is one.
function redraw(part, children, moved = 0) {
  const held = document.activeElement;
  const position = [...part.querySelectorAll("li")].findIndex((row) => row.contains(held));
  part.replaceChildren(...children);
  if (position < 0) return;
  const rows = part.querySelectorAll("li");
  const row = rows[Math.min(position + moved, rows.length - 1)];
  (row?.querySelector(`[name="${held.name}"]`) ?? row ?? $("query")).focus();
}

function drawHistory(moved = 0) {
  redraw($("history"), state.history.map((item, position) => {
    const without = state.history.filter((_, other) => other !== position);
    const remove = () => setHistory(without);
    const earlier = () => setHistory(without.toSpliced(position - 1, 0, item), -1);
    const row = element("li", { tabindex: 0, "data-item": item },
      element("span", {}, ...described(item), element("span", { class: "mark" })),
      position > 0 ? element("button", { class: "small", type: "button", name: "earlier", "aria-label": "Move earlier", onclick: earlier }, "↑") : null,
      element("button", { class: "small", type: "button", name: "remove", "aria-label": `Remove ${item}`, onclick: remove }, "×"));
    row.addEventListener("keydown", (event) => {
      if (event.target === row && ["Delete", "Backspace"].includes(event.key)) remove();
    });
    return row;
  }), moved);
  $("clear").hidden = state.history.length === 0;
  markUnknown();
}

function markUnknown() {
  for (const row of $("history").children) row.querySelector(".mark").textContent = unknown.get(row.dataset.item) ?? "";
}

function noteUnknown(answers) {
  unknown.clear();
  for (const item of state.history) {
    const without = shown().filter((_, column) => answers[column].unknown.includes(item));
    if (without.length) unknown.set(item, without.length === answers.length ? "unknown" : `unknown to ${without[0]}`);
  }
  markUnknown();
}

function drawRecommendations(answers, problem) {
  $("aside").append($("panel"));
  if (problem) return redraw($("recommendations"), [refusal(problem)]);
  noteUnknown(answers);
  const ranks = answers.map(({ items }) => new Map(items.map((found, position) => [found.item, position + 1])));
  const lists = shown().map((name, column) => {
    const { items } = answers[column];
    const scores = items.map((found) => found.score);
    const scale = { most: Math.max(...scores.map(Math.abs)), digits: decimals(scores) };
    const rows = items.map((found, position) => recommendedRow(found, position + 1, scale, name, column, ranks[1 - column]?.get(found.item)));
    return element("div", { class: column === 1 && "second" },
      element("h2", {}, name, " ", element("small", {}, note(answers[column], name))),
      element("ol", { "data-run": name }, ...rows));
  });
  redraw($("recommendations"), [element("div", { class: "lists" }, ...lists)]);
  markChosen();
}

function note(answer, name) {
  const skipped = answer.unknown.length ? `${answer.unknown.length} unknown, skipped. ` : "";
  const plain = state.newItems && !raises(name) ? "New items are not raised. " : "";
  if (answer.fallback !== "popularity") return skipped + plain;
  return state.history.length ? `${skipped}No known item in the history: by popularity` : "By popularity";
}

function recommendedRow(found, rank, scale, run, column, otherRank) {
  const add = () => setHistory([...state.history, found.item]);
  const why = () => choose(found.item, run);
  const button = element("button", { class: "add", type: "button", name: "add", title: "Add to the history", onclick: add },
    ...described(found.item), otherRank === undefined ? null : element("span", { class: "id" }, ` · ${ordinal(otherRank)} in ${column === 0 ? state.compareWith : state.run}`));
  const row = element("li", { tabindex: -1, "data-item": found.item },
    element("span", { class: "position" }, String(rank)), button,
    element("span", {}, element("span", { class: "score" }, number(found.score, scale.digits)), " ",
      state.history.length ? element("button", { class: "small", type: "button", name: "why", "aria-label": `Why ${found.item}`, onclick: why }, "why") : null),
    bar(found.score, scale.most));
  row.addEventListener("keydown", (event) => { if (event.key === "w" && state.history.length) why(); });
  return row;
}

// --- why

const narrow = matchMedia("(max-width: 64rem)"); // as in explorer.css
const still = matchMedia("(prefers-reduced-motion: reduce)");

// What POST /explain and POST /rank_text have in common.
async function askAboutHistory(path, body) {
  if (state.history.length > EXPLAINED_HISTORY)
    throw new Error(`This takes a history of up to ${EXPLAINED_HISTORY} events; this one has ${state.history.length}`);
  return ask(path, { history: state.history, ...body });
}

function drawWhy(found, problem) {
  markChosen();
  const next = state.history.length ? "Choose “why” beside a recommendation." : "Add an item to the history, then choose “why” beside a recommendation.";
  $("summary").replaceChildren(...(found ? summary(found, state.whyRun) : [problem ? refusal(problem) : hint(next)]));
  $("details").replaceChildren(...(found ? details(found) : []));
  $("panel").className = state.whyRun === state.compareWith ? "second" : "";
}

function markChosen() {
  for (const row of document.querySelectorAll(".lists li")) {
    const chosen = row.dataset.item === state.item && row.closest("ol").dataset.run === state.whyRun;
    row.classList.toggle("chosen", chosen);
    row.querySelector("[name=why]")?.setAttribute("aria-pressed", String(chosen));
  }
  seatPanel();
}

// Below the answer where there is one column, else beside all of them.
function seatPanel() {
  const seat = (narrow.matches && document.querySelector(".lists li.chosen")) || $("aside");
  if ($("panel").parentNode !== seat) seat.append($("panel"));
}

async function choose(item, run) {
  const again = state.item === item && state.whyRun === run;
  [state.item, state.whyRun] = [again ? "" : item, run];
  await refreshWhy();
  $("aside").scrollTop = 0;
  const row = $("panel").closest("li");
  const { top, bottom } = row?.getBoundingClientRect() ?? { top: 0, bottom: 0 };
  if (top < 0 || bottom > innerHeight) row.scrollIntoView({ behavior: still.matches ? "auto" : "smooth" });
}

// --- a text that is no item

function drawTextRank(found, problem) {
  if (problem) return $("text-rank").replaceChildren(refusal(problem));
  if (!found) return $("text-rank").replaceChildren(state.text.trim() ? hint("Add an item to the history: a text is ranked after one.") : "");
  const near = found.similar.slice(0, 5);
  const digits = decimals(near.map((item) => item.score));
  $("text-rank").replaceChildren(
    element("p", { id: "rank" }, `It would rank ${ordinal(found.rank)} of ${found.among.toLocaleString("en")} (score ${number(found.score)}).`),
    element("h3", {}, "Nearest items"),
    element("ol", {}, ...near.map(({ item, score }) => element("li", {}, ...described(item), element("span", { class: "id" }, ` · ${number(score, digits)}`)))));
}

function refreshTextRank() {
  writeAddress();
  if (!state.text.trim() || !state.history.length) return show("text-rank", async () => null, drawTextRank);
  return show("text-rank", () => askAboutHistory("rank_text", { text: state.text, run: state.run, ...raisedBy(state.run) }), drawTextRank);
}

// --- all together

function refreshWhy() {
  writeAddress();
  if (!state.item || !state.history.length) return show("why", async () => null, drawWhy);
  return show("why", () => askAboutHistory("explain", { item: state.item, run: state.whyRun, ...raisedBy(state.whyRun) }), drawWhy);
}

async function refresh() {
  const body = (run) => ({ history: state.history, k: state.k, exclude_seen: !state.seen, run, ...raisedBy(run) });
  writeAddress();
  await Promise.all([
    show("recommendations", () => Promise.all(shown().map((run) => ask("recommend", body(run)))), drawRecommendations),
    refreshWhy(),
    refreshTextRank(),
  ]);
}

function drawRuns() {
  const option = (name, words = name) => element("option", { value: name }, words);
  const others = runs.filter((run) => run.name !== state.run);
  $("run").replaceChildren(...runs.map((run) => option(run.name)));
  $("compare-with").replaceChildren(option("", "nothing"), ...others.map((run) => option(run.name)));
  $("compare-with").parentNode.hidden = others.length === 0;
  [$("run").value, $("compare-with").value] = [state.run, state.compareWith];
  $("raise").hidden = !shown().some(raises);
}

function drawNewItems() {
  $("new-items").value = state.newItems;
  $("raised").textContent = state.newItems ? `raised by ${state.newItems}` : "as trained";
}

// A run that comes to the left from the right changes places with the one there.
function setRuns(run, compareWith) {
  [state.run, state.compareWith] = [run, compareWith === run ? state.run : compareWith];
  if (!shown().includes(state.whyRun)) state.whyRun = run;
  say("");
  drawRuns();
  refresh();
}

async function namesOfHistory() {
  const missing = state.history.filter((item) => !texts.has(item));
  await Promise.all(missing.map((item) => ask(`items/${encodeURIComponent(item)}`).then((found) => texts.set(found.item, found.text)).catch(() => null)));
}

async function fromAddress() {
  readAddress();
  drawRuns();
  $("k").value = state.k;
  $("seen").checked = state.seen;
  drawNewItems();
  $("text").value = state.text;
  await namesOfHistory();
  drawHistory();
  await refresh();
}

async function start() {
  try {
    ({ runs } = await ask("runs"));
  } catch (error) {
    return $("recommendations").replaceChildren(refusal(error.message));
  }
  $("catalogue").textContent = `${runs[0].items.toLocaleString("en")} items`;
  for (const part of ["run", "compare-with"]) $(part).addEventListener("change", () => setRuns($("run").value, $("compare-with").value));
  $("k").addEventListener("change", () => { state.k = Math.min(100, Math.max(1, Number.parseInt($("k").value, 10) || 10)); $("k").value = state.k; refresh(); });
  $("seen").addEventListener("change", () => { state.seen = $("seen").checked; refresh(); });
  const soon = later(150, refresh);
  $("new-items").addEventListener("input", () => { state.newItems = Number($("new-items").value); drawNewItems(); soon(); });
  $("clear").addEventListener("click", () => { setHistory([]); $("query").focus(); });
  $("text").addEventListener("input", later(300, () => { state.text = $("text").value; refreshTextRank(); }));
  startSearch((item) => setHistory([...state.history, item]));
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, textarea, select")) { event.preventDefault(); $("query").focus(); }
  });
  narrow.addEventListener("change", seatPanel);
  window.addEventListener("popstate", fromAddress);
  await fromAddress();
}

start();
