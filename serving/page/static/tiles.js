// The figures above everything, the desks, and what insights bring along where there are any.
import { data, element, labelOf, number, percent, queueOf, shortTime, weekday, word } from "./text.js";

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

export function drawPanels({ panels }, onCategory) {
  fill("alerts", "ul", panels.alerts, (alert) => element("li", {}, element("strong", {}, alert.name),
    element("span", { class: "muted" }, alertLine(alert)), alert.causes.length ? element("span", {}, alert.causes.join("；")) : ""));
  fill("hot-issues", "ol", panels.hot_issues, (issue) => element("li", {},
    issue.category ? element("button", { type: "button", class: "quiet", onclick: () => onCategory(issue.category) }, issue.name) : element("strong", {}, issue.name),
    element("span", { class: "muted" }, `${number(issue.size)} · ${issue.growth == null ? word("panel.new") : word("panel.growth", { n: `${issue.growth >= 0 ? "+" : "−"}${percent(Math.abs(issue.growth))}` })}`),
    element("meter", { min: 0, max: 1, value: issue.hotness, "aria-label": issue.name }), element("span", { class: "quote muted" }, issue.quote)));
}

function alertLine({ value, expected, since }) {
  const told = { value: number(value), since: shortTime(since) };
  return expected == null ? word("panel.threshold", told) : word("panel.alert", { ...told, expected: number(expected) });
}

function fill(id, list, entries, make) {
  const place = document.getElementById(id);
  place.hidden = !entries?.length;
  place.querySelector(list).replaceChildren(...(entries ?? []).map(make));
}
