// The explorer: a history, its recommendations, and why. Its state is the address; texts of the catalogue are only ever text.

import { readAddress, writeAddress } from "./address.js";
import { drawDials, startDials } from "./dials.js";
import { $, element, hint, later, refusal, texts } from "./elements.js";
import { drawLists } from "./lists.js";
import { startSearch } from "./search.js";
import { ask, show } from "./service.js";
import { raisedBy, rulesFor, served, shown, state } from "./state.js";
import { drawTextRank } from "./textrank.js";
import { drawAll, drawHistory, forgetUser, noteUnknown, readUser, startTimeline } from "./timeline.js";
import { details, summary } from "./why.js";

const EXPLAINED_HISTORY = 100; // events, as in limits.py
const narrow = matchMedia("(max-width: 64rem)"); // as in explorer.css
const still = matchMedia("(prefers-reduced-motion: reduce)");
const TYPED = "textarea, select, input:not([type=checkbox]):not([type=range])";

const say = (message) => { $("status").textContent = message; };

// --- history and recommendations

function setHistory(items, moved = 0) {
  forgetUser();
  [state.history, state.item] = [items, ""];
  writeAddress("pushState");
  drawHistory(moved);
  refresh();
}

async function openUser(user) {
  [state.user, state.history, state.item] = [user, [], ""];
  writeAddress("pushState");
  await fromAddress();
}

const add = (item) => setHistory([...state.history, item]);

function drawRecommendations(answers, problem) {
  drawLists(answers, problem, { add, why: choose });
  if (problem) return;
  noteUnknown(answers);
  markChosen();
}

// --- why

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

// --- all together

function refreshWhy() {
  writeAddress();
  if (!state.item || !state.history.length) return show("why", async () => null, drawWhy);
  return show("why", () => askAboutHistory("explain", { item: state.item, run: state.whyRun, ...raisedBy(state.whyRun) }), drawWhy);
}

function refreshTextRank() {
  writeAddress();
  if (!state.text.trim() || !state.history.length) return show("text-rank", async () => null, drawTextRank);
  return show("text-rank", () => askAboutHistory("rank_text", { text: state.text, run: state.run, ...raisedBy(state.run) }), drawTextRank);
}

async function refresh() {
  const body = (run) => ({ history: state.history, k: state.k, exclude_seen: !state.seen, run, ...rulesFor(run) });
  writeAddress();
  await Promise.all([
    show("recommendations", () => Promise.all(shown().map((run) => ask("recommend", body(run)))), drawRecommendations),
    refreshWhy(),
    refreshTextRank(),
  ]);
}

function drawRuns() {
  const option = (name, words = name) => element("option", { value: name }, words);
  const others = served.runs.filter((run) => run.name !== state.run);
  $("run").replaceChildren(...served.runs.map((run) => option(run.name)));
  $("compare-with").replaceChildren(option("", "nothing"), ...others.map((run) => option(run.name)));
  $("compare-with").parentNode.hidden = others.length === 0;
  [$("run").value, $("compare-with").value] = [state.run, state.compareWith];
}

// A run that comes to the left from the right changes places with the one there.
async function setRuns(run, compareWith) {
  [state.run, state.compareWith] = [run, compareWith === run ? state.run : compareWith];
  if (!shown().includes(state.whyRun)) state.whyRun = run;
  say("");
  drawRuns();
  await Promise.all([drawDials(), refresh()]);
}

async function namesOfHistory() {
  const missing = state.history.filter((item) => !texts.has(item));
  await Promise.all(missing.map((item) => ask(`items/${encodeURIComponent(item)}`).then((found) => texts.set(found.item, found.text)).catch(() => null)));
}

async function fromAddress() {
  say(readAddress());
  drawRuns();
  $("k").value = state.k;
  $("seen").checked = state.seen;
  $("text").value = state.text;
  await Promise.all([readUser(), drawDials()]);
  await namesOfHistory();
  drawHistory();
  await refresh();
}

// On a phone the options are a line until they are opened.
function seatOptions() {
  $("options").open = !narrow.matches;
}

function onSlash(event) {
  const within = event.target.closest(TYPED);
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (within && !(within === $("query") && !within.value)) return; // a box that something is typed into
  event.preventDefault();
  $("query").focus();
}

async function start() {
  seatOptions();
  try {
    ({ runs: served.runs } = await ask("runs"));
  } catch (error) {
    return $("recommendations").replaceChildren(refusal(error.message));
  }
  $("catalogue").textContent = `${served.runs[0].items.toLocaleString("en")} items`;
  for (const part of ["run", "compare-with"]) $(part).addEventListener("change", () => setRuns($("run").value, $("compare-with").value));
  $("k").addEventListener("change", () => { state.k = Math.min(100, Math.max(1, Number.parseInt($("k").value, 10) || 10)); $("k").value = state.k; refresh(); });
  $("seen").addEventListener("change", () => { state.seen = $("seen").checked; refresh(); });
  $("clear").addEventListener("click", () => { setHistory([]); $("query").focus(); });
  $("earlier").addEventListener("click", drawAll);
  $("text").addEventListener("input", later(300, () => { state.text = $("text").value; refreshTextRank(); }));
  startDials(refresh, say);
  startTimeline(setHistory, openUser);
  startSearch(add);
  document.addEventListener("keydown", onSlash);
  narrow.addEventListener("change", () => { seatPanel(); seatOptions(); });
  window.addEventListener("popstate", fromAddress);
  await fromAddress();
}

start();
