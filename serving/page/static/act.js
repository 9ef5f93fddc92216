// What whoever works on a comment does: moves it on, corrects its labels, calls the customer back.
import { post, Refused } from "./api.js";
import { data, element, labelOf, word } from "./text.js";

const OUTCOMES = ["satisfied", "dissatisfied", "unreachable"];
const POLARITIES = { negative: -1, neutral: 0, positive: 1 };

// `done(id, told)` is called once a change is saved.
export function actions(comment, told, done) {
  if (!data.writes) return [element("p", { class: "muted" }, word("act.readonly"))];
  const result = element("p", { class: `told ${told?.kind ?? ""}`, role: "status" }, told?.text ?? "");
  const name = input("by", 200, remembered(), { autocomplete: "name" });
  const assignee = input("assignee", 200);
  const note = input("note", 2000, "", { placeholder: word("act.note.hint") });
  const send = (path, body) => change(comment.id, path, body, { name, result, done });
  const buttons = data.next[comment.status].map((status) => element("button", {
    type: "button", class: status === "resolved" ? "primary" : "", "data-status": status,
    onclick: () => {
      if (status === "assigned" && !assignee.value.trim()) return tell(result, word("act.need_assignee"), assignee);
      return send("status", { status, ...typed({ assignee, note }) });
    },
  }, word(`act.${status}`)));
  const form = element("form", { class: "actions act", onsubmit: (event) => event.preventDefault() },
    element("div", { class: "line" }, field("act.by", name), field("act.assignee", assignee)), field("act.note", note), element("div", { class: "line" }, buttons), result);
  return [form, comment.status === "resolved" ? call(comment, send) : "", corrections(comment, send)];
}

function corrections(comment, send) {
  const tasks = Object.keys(data.labels).filter((task) => `task.${task}` in data.words);
  const task = element("select", { name: "task", onchange: () => fill() }, tasks.map((name) => element("option", { value: name }, word(`task.${name}`))));
  const place = element("div", { class: "line" });
  const why = input("why", 2000, "", { placeholder: word("act.note.hint") });
  let read = () => null;
  const fill = () => { read = task.value === "aspects" ? aspects(comment, place) : one(task.value, place); };
  fill();
  return unfolding("correct", field("correct.task", task), [place, field("correct.why", why)], word("correct.go"),
    () => send("corrections", { task: task.value, label: read(), ...typed({ why }) }));
}

function one(task, place) {
  const label = element("select", { name: "label" }, (data.labels[task] ?? []).map(({ key, name }) => element("option", { value: key }, name)));
  place.replaceChildren(field("correct.label", label));
  return () => label.value;
}

// Every category with what is said of it; those that hold now are chosen.
function aspects(comment, place) {
  const given = comment.corrections.filter((entry) => entry.task === "aspects").at(-1)?.label
    ?? Object.fromEntries(comment.result.aspects.map(({ category, polarity }) => [category, POLARITIES[polarity]]));
  const selects = Object.fromEntries((data.labels.aspects ?? []).map(({ key }) => [key, element("select", { name: `aspect-${key}` },
    [["", "–"], ...Object.entries(POLARITIES).map(([word_, value]) => [String(value), word(`polarity.${word_}`)])].map(([value, text]) =>
      element("option", { value, selected: value === String(given[key] ?? "") }, text)))]));
  place.replaceChildren(...Object.entries(selects).map(([key, select]) => element("label", { class: "field" }, element("span", {}, labelOf("aspects", key)), select)));
  return () => Object.fromEntries(Object.entries(selects).filter(([, select]) => select.value !== "").map(([key, select]) => [key, Number(select.value)]));
}

function call(comment, send) {
  const outcome = element("select", { name: "outcome" }, OUTCOMES.map((value) => element("option", { value }, word(`call.${value}`))));
  const note = input("call-note", 2000, "", { placeholder: word("act.note.hint") });
  const open = Boolean(comment.callback_due_at && !comment.called_back_at);
  return unfolding("call", field("call.outcome", outcome), [field("act.note", note)], word("call.go"),
    () => send("calls", { outcome: outcome.value, ...typed({ note }) }), open);
}

function unfolding(name, first, more, go, submit, open = false) {
  const form = element("form", { class: "actions act", onsubmit: (event) => { event.preventDefault(); submit(); } },
    element("div", { class: "line" }, first), more, element("div", { class: "line" }, element("button", { type: "submit" }, go)));
  return element("details", { id: name, open }, element("summary", {}, word(name)), form);
}

const field = (name, control) => element("label", { class: "field" }, element("span", {}, word(name)), control);
const input = (name, maxlength, value = "", more = {}) => element("input", { name, maxlength, value, autocomplete: "off", ...more });
const typed = (inputs) => Object.fromEntries(Object.entries(inputs).map(([name, { value }]) => [name, value.trim()]).filter(([, value]) => value));

async function change(id, path, body, { name, result, done }) {
  const by = name.value.trim();
  if (!by) return tell(result, word("act.need_by"), name);
  remember(by);
  try {
    await post(`/v1/feedback/${encodeURIComponent(id)}/${path}`, { ...body, by });
  } catch (error) {
    return tell(result, word("act.failed", { why: error instanceof Refused ? error.message : String(error.message) }));
  }
  return done(id, { kind: "good", text: word("act.done") });
}

function tell(result, text, focus = null) {
  result.className = "told bad";
  result.textContent = text;
  focus?.focus();
}

function remembered() {
  try { return localStorage.getItem("fankui-by") ?? data.name; } catch { return data.name; }
}
function remember(name) {
  try { localStorage.setItem("fankui-by", name); } catch { /* storage is off */ }
}
