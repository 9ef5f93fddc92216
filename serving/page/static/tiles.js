// The figures above everything, the desks, and what insights bring along where there are any.
import { data, element, labelOf, number, percent, queueOf, weekday, word } from "./text.js";

const FEW = 5; // comments; a change of fewer says nothing

export function drawTiles({ tiles, now }) {
  tile("open", number(tiles.open), word("tile.open.note"));
  tile("soon", number(tiles.due_soon), word("tile.soon.note"), tiles.due_soon ? "warn" : "");
  const share = tiles.open ? percent(tiles.overdue / tiles.open) : "";
  tile("overdue", number(tiles.overdue), tiles.overdue ? word("tile.overdue.note", { share }) : word("tile.overdue.none"), tiles.overdue ? "bad" : "good");
  tile("today", number(tiles.today), usual(tiles, now));
  const { negative, negative_week: week } = tiles;
  tile("negative", negative.share == null ? "–" : percent(negative.share), negative.share == null ? word("tile.negative.none") : week.share == null ? "" : word("tile.negative.note", { share: percent(week.share) }));
  const levels = Object.fromEntries(Object.entries(tiles.grave_by_level).map(([key, n]) => [key, number(n)]));
  const plain = Object.entries(tiles.grave_by_level).map(([key, n]) => `${labelOf("urgency", key)} ${number(n)}`).reverse().join(" · ");
  tile("grave", number(tiles.grave), "critical" in levels && "high" in levels ? word("tile.grave.note", levels) : plain, levels.critical > 0 ? "bad" : "");
}

function usual({ today, usual }, now) {
  if (!usual) return word("tile.today.none");
  if (usual.mean < FEW) return word("tile.today.few", { day: weekday(now), mean: number(usual.mean) });
  const change = (today - usual.mean) / usual.mean;
  const told = Math.abs(change) < 0.005 ? word("change.same") : `${change > 0 ? "+" : "−"}${percent(Math.abs(change))}`;
  return word("tile.today.note", { day: weekday(now), mean: number(usual.mean), change: told });
}

function tile(name, value, note, kind = "") {
  const place = document.getElementById(`tile-${name}`);
  place.className = `tile ${kind}`;
  place.querySelector(".value").textContent = value;
  place.querySelector(".note").textContent = note;
}

export function drawDesks({ desks }, onDesk) {
  const cell = (n, kind) => element("td", { class: n ? kind : "zero" }, number(n));
  document.getElementById("desks").replaceChildren(...desks.map((desk) => element("tr", {},
    element("td", {}, element("button", { type: "button", onclick: () => onDesk(desk.queue) }, queueOf(desk.queue))), cell(desk.overdue, "bad"), cell(desk.due_soon, "warn"), cell(desk.open, ""))));
  document.getElementById("desks-empty").hidden = desks.length > 0;
}

// `onAbout(what, name)`: list the comments of an alert or an issue.
export function drawPanels({ panels }, onAbout) {
  const opener = (what, name) => element("button", { type: "button", class: "quiet", onclick: () => onAbout(what, name) }, name);
  fill("alerts", "ul", panels.alerts, (alert) => element("li", {}, opener(`alert:${alert.id}`, ruleOf(alert.name)),
    element("span", { class: "muted" }, alertLine(alert)), alert.causes.length ? element("span", {}, alert.causes.map(cause).join(word("panel.and"))) : ""));
  fill("hot-issues", "ol", panels.hot_issues, (issue) => element("li", {},
    opener(`issue:${issue.id}`, issue.name), element("span", { class: "muted" }, `${word("panel.messages", { n: number(issue.size) })} · ${growth(issue)}`),
    element("meter", { min: 0, max: 1, value: issue.hotness, "aria-label": issue.name }), element("span", { class: "quote muted" }, issue.quote)));
}

const ruleOf = (name) => data.words[`rule.${name}`] ?? name;
const growth = ({ growth: g }) => g == null ? word("panel.new") : g >= 1 ? word("panel.times", { n: number(1 + g) }) : word("panel.growth", { n: `${g >= 0 ? "+" : "−"}${percent(Math.abs(g))}` });

function alertLine({ value, expected, day, messages }) {
  const told = { n: number(messages), value: number(value), day: day.slice(5) };
  if (expected == null) return word(value === messages ? "panel.count" : "panel.threshold", told);
  return word(value === messages ? "panel.burst" : "panel.alert", { ...told, expected: number(expected) });
}

// What comments have in common, in words: shop S07 and 物流; “漏水”.
function cause(parts) {
  return parts.map(([name, value]) => {
    if (name === "term") return word("panel.term", { value });
    if (name.startsWith("aspect ")) return `${labelOf("aspects", name.slice(7))} ${word(`polarity.${value}`)}`;
    return data.labels[name] ? labelOf(name, value) : name === "queue" ? queueOf(value) : `${name} ${value}`;
  }).join(" + ");
}

function fill(id, list, entries, make) {
  const place = document.getElementById(id);
  place.hidden = !entries?.length;
  place.querySelector(list).replaceChildren(...(entries ?? []).map(make));
}
