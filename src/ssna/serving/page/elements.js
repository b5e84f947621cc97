// What every part of the page is made of.

export const $ = (id) => document.getElementById(id);
export const texts = new Map(); // item -> text, of all that was ever shown

export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// As many for all numbers of a column: four digits for the largest, none where all are whole.
export function decimals(values) {
  if (values.every(Number.isInteger)) return 0;
  const most = Math.max(...values.map(Math.abs));
  return most < 10 ? 3 : most < 100 ? 2 : 1;
}

export function number(value, digits = decimals([value])) {
  const form = { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: "negative" };
  return value.toLocaleString("en", form).replace("-", "−");
}

export const ordinal = (n) => `${n.toLocaleString("en")}${["th", "st", "nd", "rd"][n % 100 > 10 && n % 100 < 14 ? 0 : n % 10] ?? "th"}`;

export const title = (item) => texts.get(item) || item;

export function described(item) {
  return [element("span", { class: "text" }, title(item)), element("span", { class: "id" }, item)];
}

export const hint = (words) => element("p", { class: "faint" }, words);
export const refusal = (problem) => element("p", { class: "bad", role: "alert" }, problem);

export function later(milliseconds, act) {
  let waiting;
  return () => { clearTimeout(waiting); waiting = setTimeout(act, milliseconds); };
}

// Its colour is the run's; below zero it is hollow.
export function bar(value, most) {
  const node = element("span", { class: value < 0 ? "bar minus" : "bar" });
  node.style.width = `${most ? Math.min(100, (100 * Math.abs(value)) / most) : 0}%`;
  return node;
}

// Who had the focus in a row has it in the row at that position afterwards, on the same button if there is one.
export function redraw(part, children, moved = 0) {
  const held = document.activeElement;
  const position = [...part.querySelectorAll("li")].findIndex((row) => row.contains(held));
  part.replaceChildren(...children);
  if (position < 0) return;
  const rows = part.querySelectorAll("li");
  const row = rows[Math.max(0, Math.min(position + moved, rows.length - 1))];
  (row?.querySelector(`[name="${held.name}"]`) ?? row ?? $("query")).focus();
}
