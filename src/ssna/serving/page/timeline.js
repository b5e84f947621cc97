// The history: composed by hand, or what a user did, in order of time.

import { $, described, element, hint, redraw, refusal } from "./elements.js";
import { ask, mayAskForKey, sentence } from "./service.js";
import { shown, state } from "./state.js";

const phone = matchMedia("(max-width: 40rem)"); // as in explorer.css
const latest = () => (phone.matches ? 4 : 10); // events that are shown until all are asked for
const unknown = new Map(); // item of the history -> who does not know it, in words
let events = []; // of the user that is shown
let all = false; // whether every event is shown
let hidden = 0; // earlier events that are not
let change; // takes another history, and how far the focus moves

export function startTimeline(setHistory, open) {
  change = setHistory;
  const show = () => { if ($("user").value.trim()) open($("user").value.trim()); };
  $("show-user").addEventListener("click", show);
  $("user").addEventListener("keydown", (event) => { if (event.key === "Enter") show(); });
}

export function forgetUser() {
  [state.user, events, $("user").value] = ["", [], ""];
  $("user-note").replaceChildren();
}

// What is kept of the user of the address, if it names one, becomes the history.
export async function readUser() {
  const { user } = state;
  forgetUser();
  [state.user, $("user").value, all] = [user, user, false];
  if (!user) return;
  $("of-user").open = true;
  mayAskForKey();
  const [found, problem] = await ask(`users/${encodeURIComponent(user)}/history`).then((answer) => [answer.events, ""], (error) => [[], error.message]);
  if (user !== state.user) return; // meanwhile something else is wanted
  events = found;
  state.history = events.map((event) => event.item);
  $("user-note").replaceChildren(problem ? refusal(sentence(problem)) : hint(events.length ? span(events) : `Nothing is known of ${user}`));
}

const day = (time) => new Date(1000 * time).toLocaleDateString("en", { dateStyle: "medium", timeZone: "UTC" });
const moment = (time) => new Date(1000 * time).toLocaleString("en", { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });

function span(found) {
  const count = `${found.length.toLocaleString("en")} ${found.length === 1 ? "event" : "events"}`;
  const days = [found[0], found.at(-1)].filter((event) => event.time !== null).map((event) => day(event.time));
  if (days.length < 2) return count;
  return days[0] === days[1] ? `${count}, ${days[0]}` : `${count}, ${days.join(" to ")}`;
}

export function drawHistory(moved = 0) {
  const before = hidden;
  hidden = all ? 0 : Math.max(0, state.history.length - latest());
  const rows = state.history.slice(hidden).map((item, row) => historyRow(item, row + hidden));
  redraw($("history"), rows, moved + before - hidden);
  $("earlier").hidden = hidden === 0;
  $("earlier").textContent = `Show ${hidden.toLocaleString("en")} earlier`;
  $("history-order").textContent = events.some((event) => event.time !== null) && state.user ? "oldest first, times in UTC" : "oldest first";
  $("clear").hidden = state.history.length === 0 && !state.user;
  markUnknown();
}

export function drawAll() {
  all = true;
  drawHistory();
  $("history").querySelector("li")?.focus();
}

function historyRow(item, position) {
  const event = state.user ? events[position] : undefined;
  const without = state.history.filter((_, other) => other !== position);
  const remove = () => change(without);
  const earlier = () => change(without.toSpliced(position - 1, 0, item), -1);
  const row = element("li", { tabindex: 0, "data-item": item },
    element("span", {}, event ? when(event) : null, ...described(item), element("span", { class: "mark" })),
    position > 0 && !event ? element("button", { class: "small", type: "button", name: "earlier", "aria-label": "Move earlier", onclick: earlier }, "↑") : null,
    element("button", { class: "small", type: "button", name: "remove", "aria-label": `Remove ${item}`, onclick: remove }, "×"));
  row.addEventListener("keydown", (key) => {
    if (key.target === row && ["Delete", "Backspace"].includes(key.key)) remove();
  });
  return row;
}

function when(event) {
  const parts = [event.kind, event.from_data ? "data set" : "posted"].filter(Boolean).join(" · ");
  const time = event.time === null ? "" : element("time", { datetime: new Date(1000 * event.time).toISOString() }, moment(event.time));
  return element("span", { class: "when" }, time, time ? ` · ${parts}` : parts);
}

function markUnknown() {
  for (const row of $("history").children) row.querySelector(".mark").textContent = unknown.get(row.dataset.item) ?? "";
}

export function noteUnknown(answers) {
  unknown.clear();
  for (const item of state.history) {
    const without = shown().filter((_, column) => answers[column].unknown.includes(item));
    if (without.length) unknown.set(item, without.length === answers.length ? "unknown" : `unknown to ${without[0]}`);
  }
  markUnknown();
}
