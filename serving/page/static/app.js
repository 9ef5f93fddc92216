// The page as a whole: what is asked for, when, and what follows from a click.
import { get, post } from "./api.js";
import { drawUrgency, drawVolume } from "./charts.js";
import { isShown, load, openDetail } from "./detail.js";
import { drawHeat } from "./heat.js";
import { follow } from "./live.js";
import { clockTime, data, element, number, queueOf, word } from "./text.js";
import { drawDesks, drawPanels, drawTiles } from "./tiles.js";
import { drawRows, shownRows } from "./worklist.js";

const STATES = ["open", "overdue", "due_soon", "new", "assigned", "in_progress", "reopened", "resolved", "call_due", "all"];
const SPANS = ["24h", "7d", "30d", "90d"];
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d$/;
const LABELLED = ["queue", "category", "urgency", "channel"];
const ROWS = matchMedia("(max-width: 639px)").matches ? 10 : 50; // on a phone the charts follow below
const EVERY = 30_000; // milliseconds; due times pass although nothing happens
const LEAST = 700; // between two refreshes that changes cause

const $ = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const state = {
  span: SPANS.includes(asked.get("span")) ? asked.get("span") : "30d",
  state: STATES.includes(asked.get("state")) ? asked.get("state") : "open",
  ...Object.fromEntries(LABELLED.map((name) => [name, asked.get(name) ?? ""])),
  from: "", to: "", about: "", aboutName: "",
};
if (MOMENT.test(asked.get("from")) && MOMENT.test(asked.get("to"))) Object.assign(state, { from: asked.get("from"), to: asked.get("to") });
let mark = String(Date.now());
let figures = null;
let next = null;
let turn = 0;

const filters = () => Object.fromEntries(LABELLED.map((name) => [name, state[name]]));
// Moments without a zone are the wall clock's of the routing policy.
const wall = (moment) => moment && `${moment}:00`;
const listed = () => ({ ...filters(), state: state.state, about: state.about, written_from: wall(state.from), written_before: wall(state.to) });

async function refresh({ keepKnown = true } = {}) {
  const mine = ++turn;
  const limit = Math.min(200, Math.max(ROWS, keepKnown ? shownRows() : ROWS));
  try {
    const [counts, list] = await Promise.all([
      get("/dashboard/figures", { ...filters(), span: state.span, mark }),
      get("/dashboard/queue", { ...listed(), limit }),
    ]);
    if (mine !== turn) return; // another one was asked for meanwhile
    figures = counts;
    next = list.next;
    drawFigures();
    drawRows(list, { onOpen: open, keepKnown });
    banner("");
    updated();
  } catch (error) {
    if (mine === turn) banner(error.code === "store_unavailable" ? word("store_away") : word("refresh_failed"));
  }
}

function drawFigures() {
  drawTiles(figures);
  drawDesks(figures, (queue) => set({ queue }));
  drawPanels(figures, (about, aboutName) => { set({ about, aboutName, state: "all" }); $("work").scrollIntoView({ block: "nearest" }); });
  drawVolume(figures, ({ from, to }) => set({ from, to, state: "all" }));
  drawUrgency(figures, ({ from, to }) => set({ from, to, state: "all" }));
  drawHeat(figures, ({ category, from, to }) => set({ category, from, to, state: "all" }));
  options("channel", figures.channels.map((name) => [name, name]));
  options("queue", Object.keys({ ...data.queues, ...Object.fromEntries(figures.desks.map((desk) => [desk.queue, 1])) }).map((queue) => [queue, queueOf(queue)]));
}

const open = (id) => openDetail(id, () => { mark = `${id}-${Date.now()}`; refresh(); });

function set(changes) {
  Object.assign(state, changes);
  show();
  const kept = new URLSearchParams(Object.entries(state).filter(([name, value]) => value && !name.startsWith("about") && !(name === "span" && value === "30d") && !(name === "state" && value === "open")));
  history.replaceState(null, "", `${location.pathname}${kept.size ? `?${kept}` : ""}`);
  refresh({ keepKnown: false });
}

function show() {
  for (const name of [...LABELLED, "state"]) {
    const select = $(`filter-${name}`);
    if (state[name] && ![...select.options].some((option) => option.value === state[name])) select.append(element("option", { value: state[name] }, state[name]));
    select.value = state[name];
    select.classList.toggle("set", name === "state" ? state.state !== "open" : Boolean(state[name]));
  }
  for (const radio of document.querySelectorAll("[name=span]")) radio.checked = radio.value === state.span;
  for (const tile of document.querySelectorAll("button.tile")) tile.setAttribute("aria-pressed", String(tile.dataset.state === state.state));
  const range = $("window");
  range.hidden = !state.from;
  $("about").hidden = !state.about;
  $("about").textContent = word("filter.about", { name: state.aboutName });
  range.textContent = state.from ? word("filter.window", { from: state.from.replace("T", " "), to: state.to.replace("T", " ") }) : "";
}

function options(name, pairs) {
  const select = $(`filter-${name}`);
  const wanted = JSON.stringify(pairs);
  if (select.dataset.pairs === wanted) return;
  select.dataset.pairs = wanted;
  select.replaceChildren(element("option", { value: "" }, word("filter.any")), ...pairs.map(([value, text]) => element("option", { value }, text)));
  show();
}

function banner(text) {
  $("banner").hidden = !text;
  $("banner").textContent = text;
}

function live(on) {
  $("live").dataset.state = on ? "live" : "offline";
  $("live-text").textContent = word(on ? "live" : "offline");
}
const updated = () => { $("live").title = word("updated", { time: clockTime(new Date()) }); };

let waiting = null;
let last = 0;
function soon() {
  waiting ??= setTimeout(() => { waiting = null; last = Date.now(); refresh(); }, Math.max(50, LEAST - (Date.now() - last)));
}

function wire() {
  $("filter-state").replaceChildren(...STATES.map((name) => element("option", { value: name }, word(`state.${name}`))));
  for (const task of ["category", "urgency"]) options(task, (data.labels[task] ?? []).map(({ key, name }) => [key, name]));
  options("queue", Object.entries(data.queues));
  options("channel", []);
  show();
  $("filters").addEventListener("change", (event) => set({ [event.target.name]: event.target.value }));
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("clear").addEventListener("click", (event) => { event.preventDefault(); set({ state: "open", from: "", to: "", about: "", ...Object.fromEntries(LABELLED.map((name) => [name, ""])) }); });
  $("window").addEventListener("click", () => set({ from: "", to: "" }));
  $("about").addEventListener("click", () => set({ about: "" }));
  $("spans").addEventListener("change", (event) => set({ span: event.target.value }));
  for (const tile of document.querySelectorAll("button.tile")) tile.addEventListener("click", () => set({ state: tile.dataset.state, from: "", to: "", about: "" }));
  $("more").addEventListener("click", async () => {
    const list = await get("/dashboard/queue", { ...listed(), limit: ROWS, cursor: next });
    next = list.next;
    drawRows(list, { onOpen: open, append: true });
  });
  $("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("fankui-theme", root.dataset.theme); } catch { /* storage is off */ }
    if (figures) drawFigures();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => figures && drawFigures());
  $("logout")?.addEventListener("click", async () => { await post("/dashboard/logout", {}); location.assign("/dashboard/login"); });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, textarea, select, dialog")) return;
    event.preventDefault();
    $("filter-state").focus();
  });
}

wire();
refresh({ keepKnown: false });
setInterval(() => document.hidden || refresh(), EVERY);
follow({
  onOpen: () => { live(true); mark = String(Date.now()); soon(); },
  onLost: () => live(false),
  onChange: (change) => {
    banner(change.store ? "" : word("store_away"));
    if (change.mark) mark = change.mark;
    const came = change.types["feedback.routed"];
    if (came) $("announce").textContent = word("announce", { n: number(came) });
    const mine = change.ids.find(isShown);
    if (mine) load(mine);
    soon();
  },
});
