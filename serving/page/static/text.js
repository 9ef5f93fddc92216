// Words, labels, numbers and times, in the language and the time zone of the page.
export const data = JSON.parse(document.getElementById("page-data").textContent);
const locale = data.language === "zh" ? "zh-CN" : "en-GB";

export function word(name, values = {}) {
  const text = data.words[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (whole, key) => (key in values ? String(values[key]) : whole));
}

export const number = (value) => value.toLocaleString(locale, { maximumFractionDigits: value < 10 && value % 1 ? 1 : 0 });
export const percent = (value) => `${(100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0)}%`;

export function labelOf(task, key) {
  return data.labels[task]?.find((label) => label.key === key)?.name ?? key;
}
export const queueOf = (key) => data.queues[key] ?? key;

// The policy's zone is a name, or an offset that not every browser takes for one.
const offset = /^([+-])(\d\d):(\d\d)$/.exec(data.zone);
const shift = offset ? (offset[1] === "-" ? -1 : 1) * (60 * Number(offset[2]) + Number(offset[3])) * 60_000 : 0;
const zone = offset ? "UTC" : data.zone;
const moment = (iso) => new Date(Date.parse(iso) + shift);
const format = (options) => new Intl.DateTimeFormat(locale, { timeZone: zone, hourCycle: "h23", ...options });
const full = format({ year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" });
const short = format({ month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" });
const clock = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const fullTime = (iso) => full.format(moment(iso));
export const shortTime = (iso) => short.format(moment(iso));
export const clockTime = (date) => clock.format(new Date(date.getTime() + shift));
export const weekday = (iso) => word(`day.${["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"].indexOf(
  new Intl.DateTimeFormat("en-US", { timeZone: zone, weekday: "short" }).format(moment(iso)))}`);

// "2026-03-02T06:00", on the wall clock of the policy's zone: 03-02 06:00
export function stepName(start, hours) {
  const [day, time] = start.split("T");
  if (hours === 1) return time;
  return hours < 24 ? `${day.slice(5)} ${time}` : day.slice(5);
}
export function stepEnd(start, hours) {
  return new Date(Date.parse(`${start}:00Z`) + hours * 3_600_000).toISOString().slice(0, 16);
}

export function duration(milliseconds) {
  const minutes = Math.abs(milliseconds) / 60_000;
  if (minutes < 60) return word("unit.minutes", { n: Math.max(1, Math.round(minutes)) });
  if (minutes < 48 * 60) return word("unit.hours", { n: number(Math.round(minutes / 6) / 10) });
  return word("unit.days", { n: Math.round(minutes / 1440) });
}

// Everything that was written by somebody comes in as text, never as HTML.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child != null && child !== ""));
  return made;
}
