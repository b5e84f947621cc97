// The explorer: a history, its answers, and why. Its state is the address; texts of the catalogue are only ever text.

import { $, bar, decimals, described, element, hint, later, number, ordinal, refusal, texts } from "./elements.js";
import { startSearch } from "./search.js";
import { ask, show } from "./service.js";
import { details, summary } from "./why.js";

const EXPLAINED = 100; // events, as in limits.py
const state = { history: [], k: 10, seen: false, run: "", beside: "", item: "", whyRun: "", text: "" };
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
  state.run = known(found.get("run")) || runs[0].name;
  state.beside = found.get("beside") === state.run ? "" : known(found.get("beside"));
  state.item = found.get("why") ?? "";
  state.whyRun = known(found.get("of")) || state.run;
  state.text = found.get("text") ?? "";
  const gone = new Set(["run", "beside", "of"].map((part) => found.get(part)).filter((name) => name && !served(name)));
  say(gone.size ? `No run called ${[...gone].join(" or ")} is served here: what you see is by ${shown().join(" and ")}.` : "");
}

// A step of its own for the browser's Back, or in place of the last one.
function writeAddress(how = "replaceState") {
  const parts = new URLSearchParams(state.history.map((item) => ["h", item]));
  if (state.k !== 10) parts.set("k", state.k);
  if (state.seen) parts.set("seen", "1");
  if (state.run !== runs[0].name) parts.set("run", state.run);
  if (state.beside) parts.set("beside", state.beside);
  if (state.item) parts.set("why", state.item);
  if (state.item && state.whyRun !== state.run) parts.set("of", state.whyRun);
  if (state.text) parts.set("text", state.text);
  history[how](null, "", `#${parts}`);
}

// --- history and answers

const shown = () => [state.run, state.beside].filter(Boolean);

function setHistory(items, moved = 0) {
  state.history = items;
  state.item = "";
  writeAddress("pushState");
  drawHistory(moved);
  refresh();
}

// Who had the focus in a row has it in the row at that place afterwards, on the same button if there is one.
function redraw(part, children, moved = 0) {
  const held = document.activeElement;
  const place = [...part.querySelectorAll("li")].findIndex((row) => row.contains(held));
  part.replaceChildren(...children);
  if (place < 0) return;
  const rows = part.querySelectorAll("li");
  const row = rows[Math.min(place + moved, rows.length - 1)];
  (row?.querySelector(`[name="${held.name}"]`) ?? row ?? $("query")).focus();
}

function drawHistory(moved = 0) {
  redraw($("history"), state.history.map((item, place) => {
    const without = state.history.filter((_, other) => other !== place);
    const remove = () => setHistory(without);
    const earlier = () => setHistory(without.toSpliced(place - 1, 0, item), -1);
    const row = element("li", { tabindex: 0, "data-item": item },
      element("span", {}, ...described(item), element("span", { class: "mark" })),
      place > 0 ? element("button", { class: "small", type: "button", name: "earlier", "aria-label": "Move earlier", onclick: earlier }, "↑") : null,
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

function drawAnswers(answers, problem) {
  $("aside").append($("panel"));
  if (problem) return redraw($("answers"), [refusal(problem)]);
  noteUnknown(answers);
  const places = answers.map(({ items }) => new Map(items.map((found, place) => [found.item, place + 1])));
  const lists = shown().map((name, column) => {
    const { items } = answers[column];
    const scores = items.map((found) => found.score);
    const scale = { most: Math.max(...scores.map(Math.abs)), digits: decimals(scores) };
    const rows = items.map((found, place) => answerRow(found, place + 1, scale, name, column, places[1 - column]?.get(found.item)));
    return element("div", { class: column === 1 && "second" },
      element("h2", {}, name, " ", element("small", {}, note(answers[column]))),
      element("ol", { "data-run": name }, ...rows));
  });
  redraw($("answers"), [element("div", { class: "lists" }, ...lists)]);
  markChosen();
}

function note(answer) {
  const skipped = answer.unknown.length ? `${answer.unknown.length} unknown, skipped. ` : "";
  if (answer.fallback !== "popularity") return skipped;
  return state.history.length ? `${skipped}No known item in the history: by popularity` : "By popularity";
}

function answerRow(found, place, scale, run, column, there) {
  const add = () => setHistory([...state.history, found.item]);
  const why = () => choose(found.item, run);
  const button = element("button", { class: "add", type: "button", name: "add", title: "Add to the history", onclick: add },
    ...described(found.item), there === undefined ? null : element("span", { class: "id" }, ` · ${ordinal(there)} in ${column === 0 ? state.beside : state.run}`));
  const row = element("li", { tabindex: -1, "data-item": found.item },
    element("span", { class: "place" }, String(place)), button,
    element("span", {}, element("span", { class: "score" }, number(found.score, scale.digits)), " ",
      state.history.length ? element("button", { class: "small", type: "button", name: "why", "aria-label": `Why ${found.item}`, onclick: why }, "why") : null),
    bar(found.score, scale.most));
  row.addEventListener("keydown", (event) => { if (event.key === "w" && state.history.length) why(); });
  return row;
}

// --- why

const narrow = matchMedia("(max-width: 64rem)"); // as in explorer.css
const still = matchMedia("(prefers-reduced-motion: reduce)");

// What POST /explain and POST /place have in common.
async function askOfHistory(path, body) {
  if (state.history.length > EXPLAINED)
    throw new Error(`This takes a history of up to ${EXPLAINED} events; this one has ${state.history.length}`);
  return ask(path, { history: state.history, ...body });
}

function drawWhy(found, problem) {
  markChosen();
  const next = state.history.length ? "Choose “why” beside an answer." : "Add an item to the history, then choose “why” beside an answer.";
  $("told").replaceChildren(...(found ? summary(found, state.whyRun) : [problem ? refusal(problem) : hint(next)]));
  $("details").replaceChildren(...(found ? details(found) : []));
  $("panel").className = state.whyRun === state.beside ? "second" : "";
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

function drawPlacement(found, problem) {
  if (problem) return $("placement").replaceChildren(refusal(problem));
  if (!found) return $("placement").replaceChildren(state.text.trim() ? hint("Add an item to the history: a text is ranked after one.") : "");
  const near = found.similar.slice(0, 5);
  const digits = decimals(near.map((item) => item.score));
  $("placement").replaceChildren(
    element("p", { id: "rank" }, `It would stand ${ordinal(found.rank)} of ${found.among.toLocaleString("en")} (score ${number(found.score)}).`),
    element("h3", {}, "Nearest items"),
    element("ol", {}, ...near.map(({ item, score }) => element("li", {}, ...described(item), element("span", { class: "id" }, ` · ${number(score, digits)}`)))));
}

function refreshPlacement() {
  writeAddress();
  if (!state.text.trim() || !state.history.length) return show("placement", async () => null, drawPlacement);
  return show("placement", () => askOfHistory("place", { text: state.text, run: state.run }), drawPlacement);
}

// --- all together

function refreshWhy() {
  writeAddress();
  if (!state.item || !state.history.length) return show("why", async () => null, drawWhy);
  return show("why", () => askOfHistory("explain", { item: state.item, run: state.whyRun }), drawWhy);
}

async function refresh() {
  const body = (run) => ({ history: state.history, k: state.k, exclude_seen: !state.seen, run });
  writeAddress();
  await Promise.all([
    show("answers", () => Promise.all(shown().map((run) => ask("recommend", body(run)))), drawAnswers),
    refreshWhy(),
    refreshPlacement(),
  ]);
}

function drawRuns() {
  const option = (name, words = name) => element("option", { value: name }, words);
  const others = runs.filter((run) => run.name !== state.run);
  $("run").replaceChildren(...runs.map((run) => option(run.name)));
  $("beside").replaceChildren(option("", "nothing"), ...others.map((run) => option(run.name)));
  $("beside").parentNode.hidden = others.length === 0;
  for (const part of ["run", "beside"]) $(part).value = state[part];
}

// A run that comes to the left from the right changes places with the one there.
function setRuns(run, beside) {
  [state.run, state.beside] = [run, beside === run ? state.run : beside];
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
  $("text").value = state.text;
  await namesOfHistory();
  drawHistory();
  await refresh();
}

async function start() {
  try {
    ({ runs } = await ask("runs"));
  } catch (error) {
    return $("answers").replaceChildren(refusal(error.message));
  }
  $("catalogue").textContent = `${runs[0].items.toLocaleString("en")} items`;
  for (const part of ["run", "beside"]) $(part).addEventListener("change", () => setRuns($("run").value, $("beside").value));
  $("k").addEventListener("change", () => { state.k = Math.min(100, Math.max(1, Number.parseInt($("k").value, 10) || 10)); $("k").value = state.k; refresh(); });
  $("seen").addEventListener("change", () => { state.seen = $("seen").checked; refresh(); });
  $("clear").addEventListener("click", () => { setHistory([]); $("query").focus(); });
  $("text").addEventListener("input", later(300, () => { state.text = $("text").value; refreshPlacement(); }));
  startSearch((item) => setHistory([...state.history, item]));
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, textarea, select")) { event.preventDefault(); $("query").focus(); }
  });
  narrow.addEventListener("change", seatPanel);
  window.addEventListener("popstate", fromAddress);
  await fromAddress();
}

start();
