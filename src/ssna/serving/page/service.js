// What the page asks of the service.

import { texts } from "./elements.js";

// A server may guard reading, and always guards users: whoever has a key gives it once, and it lasts as long as the tab.
let key = sessionStorage.getItem("key") ?? "", fitted = key, declined = false;
const KEY_REFUSED = ["wrong_key", "key_may_not"];

const keep = (found) => sessionStorage.setItem("key", (key = found));

// Whoever wants something else may be asked again.
export function mayAskForKey() { declined = false; }

function given(refused, message) {
  if (refused !== key) return true; // meanwhile another request asked for it
  const found = declined ? null : prompt(`${sentence(message)}. The key:`);
  declined ||= found === null;
  keep(found === null ? fitted : found.trim().replace(/[^ -~]/g, ""));
  return found !== null;
}

export async function ask(path, body) {
  const sent = key, headers = sent ? { "X-API-Key": sent } : {};
  const options = body
    ? { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body) }
    : { headers };
  const response = await fetch(path, options).catch(() => { throw new Error("The server does not answer"); });
  const answer = await response.json().catch(() => ({}));
  if (answer.error?.code === "starting") {
    await new Promise((resolve) => setTimeout(resolve, 500));
    return ask(path, body);
  }
  if (KEY_REFUSED.includes(answer.error?.code) && given(sent, answer.error.message)) return ask(path, body);
  if (!response.ok) throw new Error(answer.error?.message ?? `${path} answered ${response.status}`);
  fitted = sent;
  for (const found of [answer.items, answer.history, answer.similar, answer.events, [answer.item]].flat())
    if (found?.item !== undefined) texts.set(found.item, found.text);
  return answer;
}

export const sentence = (words) => words[0].toUpperCase() + words.slice(1);

// Draws an answer, or null and what went wrong; of several requests for one part of the page, only the last one's.
const latest = {};
export async function show(part, fetched, draw) {
  const turn = (latest[part] = (latest[part] ?? 0) + 1);
  const drawn = await fetched().then((answer) => [answer, ""], (error) => [null, sentence(error.message)]);
  if (turn === latest[part]) draw(...drawn);
}
