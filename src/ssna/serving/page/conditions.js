// Filters as the page holds them, by the kind of an attribute, and as the condition that POST /recommend takes.
//
// number, time: [from, to], either may be null; text, texts: a list, any of which will do; boolean: true, false or null.

const RANGES = ["number", "time"], DAY = /^\d{4}-\d\d-\d\d$/, DAY_MS = 86_400_000, LAST_DAY = "9999-12-31";
const MOST_VALUES = 50; // of one filter, so that an address stays short

export const isRange = (kind) => RANGES.includes(kind);
export const nothing = (kind) => (isRange(kind) ? [null, null] : kind === "boolean" ? null : []);
export const isSet = (value) => (Array.isArray(value) ? value.some((one) => one !== null) : value !== null);

const isDay = (value) => DAY.test(value) && !Number.isNaN(Date.parse(value));
const fits = { number: Number.isFinite, time: (value) => typeof value === "string" && isDay(value) };

// What an address says of a filter, if it can be one of this kind; else null.
export function readFilter(kind, value) {
  if (kind === "boolean") return typeof value === "boolean" ? value : null;
  if (!Array.isArray(value) || value.length > MOST_VALUES) return null;
  if (isRange(kind)) return value.length === 2 && value.every((one) => one === null || fits[kind](one)) ? value : null;
  return value.length && value.every((one) => typeof one === "string") ? [...new Set(value)] : null;
}

// The last day counts as a whole.
function before(name, day) {
  if (day >= LAST_DAY) return { "<=": [name, day] };
  return { "<": [name, new Date(Date.parse(day) + DAY_MS).toISOString().slice(0, 10)] };
}

function parts(name, kind, value) {
  if (kind === "boolean") return [{ "=": [name, value] }];
  if (!isRange(kind)) return [{ in: [name, value] }];
  const [from, to] = value;
  const upper = to === null ? [] : [kind === "time" ? before(name, to) : { "<=": [name, to] }];
  return [...(from === null ? [] : [{ ">=": [name, from] }]), ...upper];
}

export function whereOf(filters, kinds) {
  const found = [...filters].filter(([, value]) => isSet(value)).flatMap(([name, value]) => parts(name, kinds.get(name), value));
  return found.length > 1 ? { and: found } : found[0];
}

export function inWords(name, kind, value) {
  if (kind === "boolean") return `${name}: ${value ? "yes" : "no"}`;
  if (!isRange(kind)) return `${name}: ${value.length > 3 ? `${value.slice(0, 2).join(", ")} and ${value.length - 2} more` : value.join(", ")}`;
  const [from, to] = value;
  if (from !== null && to !== null) return `${name}: ${from} to ${to}`;
  return from !== null ? `${name}: from ${from}` : `${name}: up to ${to}`;
}
