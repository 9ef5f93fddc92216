// One comment: its masked text with the words that speak for a label, its labels, where it went, and what people did.
import { get, post, Refused } from "./api.js";
import { data, element, fullTime, labelOf, percent, queueOf, word } from "./text.js";
import { due } from "./worklist.js";
import { drawText, evidencePart } from "./evidence.js";

const dialog = document.getElementById("detail");
let shown = null;
let said = null;
let changed = () => {};

export async function openDetail(id, onChange) {
  changed = onChange;
  shown = id;
  dialog.replaceChildren(sheet(id, [element("p", { class: "muted" }, word("detail.loading"))]));
  if (!dialog.open) dialog.showModal();
  await load(id);
}

export const isShown = (id) => dialog.open && shown === id;

export async function load(id, told = null) {
  try {
    const comment = await get(`/v1/feedback/${encodeURIComponent(id)}`);
    if (shown === id) draw(comment, told);
  } catch (error) {
    const why = error.code === "feedback_erased" ? word("detail.gone") : word("detail.failed", { why: error.message });
    if (shown === id) dialog.replaceChildren(sheet(id, [element("p", { class: "problem" }, why)]));
  }
}

function sheet(id, parts, badges = []) {
  const close = element("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, word("detail.close"));
  return element("div", { class: "sheet" }, element("header", {}, element("h2", { id: "detail-title" }, word("detail")), badges, element("code", {}, id), close), parts);
}

function draw(comment, told) {
  const typed = dialog.querySelector("form.act:focus-within");
  if (typed && !told) return; // whoever is writing is not interrupted
  // The change comes back as news within a moment, and must not take away that it was saved.
  if (told) said = { id: comment.id, told, until: Date.now() + 4000 };
  else if (said?.id === comment.id && Date.now() < said.until) told = said.told;
  const text = element("p", { class: "text", id: "comment-text" });
  drawText(text, comment.text, []);
  const badges = [
    comment.urgency ? element("span", { class: `badge ${comment.urgency}` }, labelOf("urgency", comment.urgency)) : "",
    element("span", { class: "badge plain" }, word(`state.${comment.status}`)),
    due(comment, Date.now()),
  ];
  const parts = [text, evidencePart(comment, text), routing(comment), actions(comment, told), history(comment)];
  const top = dialog.scrollTop;
  dialog.replaceChildren(sheet(comment.id, parts, badges));
  dialog.scrollTop = top;
}

function part(title, ...children) {
  return element("section", {}, element("h3", {}, title), children);
}

function facts(pairs) {
  return element("dl", { class: "facts" }, pairs.filter(([, value]) => value != null && value !== "").map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

function routing(comment) {
  const { decision } = comment.result;
  const { contacts, duplicate_of: twin, similarity } = comment.signals;
  const metadata = Object.entries(comment.metadata).map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`).join("\n");
  return part(word("detail.decision"), facts([
    [word("filter.queue"), queueOf(decision.queue)],
    [word("detail.due"), comment.due_at && fullTime(comment.due_at)],
    [word("detail.zone"), word(`detail.zone.${decision.zone}`)],
    [word("detail.reasons"), decision.reasons.length ? element("span", {}, decision.reasons.map((reason) => element("code", {}, reason))) : ""],
    [word("filter.channel"), comment.channel],
    [word("detail.customer"), [comment.customer_ref, contacts ? word("detail.contacts", { n: contacts }) : ""].filter(Boolean).join(" · ")],
    ["", twin ? word("detail.duplicate", { id: twin, share: percent(similarity) }) : ""],
    [word("detail.created"), fullTime(comment.created_at)],
    [word("detail.received"), fullTime(comment.received_at)],
    [word("detail.metadata"), metadata],
  ]));
}

function actions(comment, told) {
  if (!data.writes) return part(word("act"), element("p", { class: "muted" }, word("act.readonly")));
  const result = element("p", { class: `told ${told?.kind ?? ""}`, role: "status" }, told?.text ?? "");
  const name = element("input", { name: "by", maxlength: 200, autocomplete: "name", value: remembered() });
  const assignee = element("input", { name: "assignee", maxlength: 200, autocomplete: "off" });
  const note = element("input", { name: "note", maxlength: 2000, autocomplete: "off", placeholder: word("act.note.hint") });
  const send = (path, body) => change(comment.id, path, body, name.value, result);
  const buttons = data.next[comment.status].map((status) => element("button", {
    type: "button", class: status === "resolved" ? "primary" : "", "data-status": status,
    onclick: () => {
      if (status === "assigned" && !assignee.value.trim()) return tell(result, word("act.need_assignee"), assignee);
      return send("status", { status, ...(assignee.value.trim() ? { assignee: assignee.value.trim() } : {}), ...(note.value.trim() ? { note: note.value.trim() } : {}) });
    },
  }, word(`act.${status}`)));
  const form = element("form", { class: "actions act", onsubmit: (event) => event.preventDefault() },
    element("div", { class: "line" }, field("act.by", name), field("act.assignee", assignee)), field("act.note", note), element("div", { class: "line" }, buttons), result);
  return part(word("act"), form, corrections(send));
}

function corrections(send) {
  const tasks = Object.keys(data.labels).filter((task) => task !== "aspects" && `task.${task}` in data.words);
  const task = element("select", { name: "task", onchange: () => fill() }, tasks.map((name) => element("option", { value: name }, word(`task.${name}`))));
  const label = element("select", { name: "label" });
  const why = element("input", { name: "why", maxlength: 2000, autocomplete: "off", placeholder: word("act.note.hint") });
  const fill = () => label.replaceChildren(...(data.labels[task.value] ?? []).map(({ key, name }) => element("option", { value: key }, name)));
  fill();
  const go = element("button", { type: "submit" }, word("correct.go"));
  const submit = (event) => {
    event.preventDefault();
    send("corrections", { task: task.value, label: label.value, ...(why.value.trim() ? { why: why.value.trim() } : {}) });
  };
  return element("details", { id: "correct" }, element("summary", {}, word("correct")),
    element("form", { class: "actions act", onsubmit: submit }, element("div", { class: "line" }, field("correct.task", task), field("correct.label", label)), field("correct.why", why), element("div", { class: "line" }, go)));
}

const field = (name, input) => element("label", { class: "field" }, element("span", {}, word(name)), input);

async function change(id, path, body, by, result) {
  if (!by.trim()) return tell(result, word("act.need_by"), dialog.querySelector("[name=by]"));
  remember(by.trim());
  try {
    await post(`/v1/feedback/${encodeURIComponent(id)}/${path}`, { ...body, by: by.trim() });
  } catch (error) {
    return tell(result, word("act.failed", { why: error instanceof Refused ? error.message : String(error.message) }));
  }
  await load(id, { kind: "good", text: word("act.done") });
  changed();
}

function tell(result, text, focus = null) {
  result.className = "told bad";
  result.textContent = text;
  focus?.focus();
}

function history(comment) {
  const entries = [
    ...comment.history.map((entry) => ({ at: entry.at, what: word(`state.${entry.status}`), by: entry.by, more: [entry.assignee && `→ ${entry.assignee}`, entry.note] })),
    ...comment.corrections.map((entry) => ({ at: entry.created_at, what: `${word("correct")}: ${word(`task.${entry.task}`)} → ${typeof entry.label === "string" ? labelOf(entry.task, entry.label) : JSON.stringify(entry.label)}`, by: entry.by, more: [entry.why] })),
  ].sort((a, b) => a.at.localeCompare(b.at));
  return part(word("detail.history"), element("ol", { class: "history" }, entries.map((entry) => element("li", {},
    element("strong", {}, entry.what), " ", entry.by, entry.more.filter(Boolean).map((text) => ` · ${text}`), element("div", { class: "muted" }, fullTime(entry.at))))));
}

function remembered() {
  try { return localStorage.getItem("fankui-by") ?? data.name; } catch { return data.name; }
}
function remember(name) {
  try { localStorage.setItem("fankui-by", name); } catch { /* storage is off */ }
}

dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("close", () => { shown = null; });
