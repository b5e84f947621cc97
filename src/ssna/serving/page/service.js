// What the page asks of the service.

import { texts } from "./elements.js";

export async function ask(path, body) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, options).catch(() => { throw new Error("The server does not answer"); });
  const answer = await response.json().catch(() => ({}));
  if (answer.error?.code === "starting") {
    await new Promise((resolve) => setTimeout(resolve, 500));
    return ask(path, body);
  }
  if (!response.ok) throw new Error(answer.error?.message ?? `${path} answered ${response.status}`);
  for (const found of [answer.items, answer.history, answer.similar, [answer.item]].flat())
    if (found?.item !== undefined) texts.set(found.item, found.text);
  return answer;
}

const sentence = (words) => words[0].toUpperCase() + words.slice(1);

// Draws an answer, or null and what went wrong; of several requests for one part of the page, only the last one's.
const latest = {};
export async function show(part, fetched, draw) {
  const turn = (latest[part] = (latest[part] ?? 0) + 1);
  const drawn = await fetched().then((answer) => [answer, ""], (error) => [null, sentence(error.message)]);
  if (turn === latest[part]) draw(...drawn);
}
