import type { NotStarted, PageEvent, PageState, PushView } from "../state.js";
import { age, byId, html, setText } from "./dom.js";
import { LettersView } from "./letters-view.js";
import { PushRow } from "./push-row.js";
import { TrafficView } from "./traffic-view.js";

/** Entries of the list of what started no build that are shown. */
const MOST_ENTRIES = 300;

const rows = new Map<string, PushRow>();
const list = byId("pushes");
const traffic = new TrafficView();
const letters = new LettersView();
let isOver = false;

function showPush(push: PushView): PushRow {
  const known = rows.get(push.id);
  if (known) {
    known.update(push);
    return known;
  }
  const row = new PushRow(push);
  rows.set(push.id, row);
  list.prepend(row.element);
  byId("pushes-empty").hidden = true;
  return row;
}

function removePush(id: string): void {
  rows.get(id)?.element.remove();
  rows.delete(id);
}

/** Everything anew, but what is open stays open and what has the focus keeps it. */
function showState(state: PageState): void {
  const ids = new Set(state.pushes.map(({ id }) => id));
  for (const id of [...rows.keys()]) if (!ids.has(id)) removePush(id);
  for (const push of state.pushes) showPush(push).clearLog();
  for (const log of state.logs) rows.get(log.push)?.addLines(log);
  byId("not-started").replaceChildren();
  for (const entry of state.notStarted) showNotStarted(entry);
  letters.update(state.letters);
  traffic.update(state.traffic);
  traffic.reset(state.samples);
}

function showNotStarted({ at, why, push, detail }: NotStarted): void {
  const entries = byId("not-started");
  entries.prepend(
    html(
      "li",
      { "data-why": why },
      html("span", { class: "badge" }, why),
      html("bdi", { class: "about" }, push),
      html("time", { class: "age", datetime: new Date(at).toISOString() }, age(at)),
      html("bdi", { class: "detail" }, detail),
    ),
  );
  while (entries.childElementCount > MOST_ENTRIES) entries.lastElementChild?.remove();
  byId("not-started-empty").hidden = true;
}

/** What a listener is told: ends only, not every step. */
function announce({ outcome, name, commit, reason }: PushView, before: string | undefined): void {
  if (before === undefined) setText(byId("news"), `${name} ${commit} was pushed`);
  else if (outcome !== before && outcome !== "under way") {
    setText(byId("news"), `${name} ${commit}: ${outcome}${outcome === "failed" ? `, ${reason}` : ""}`);
  }
}

function showPushEvent(push: PushView): void {
  announce(push, rows.get(push.id)?.element.dataset.outcome);
  showPush(push);
}

/** What is done with each kind of event. */
const SHOW: { readonly [K in PageEvent["type"]]: (event: Extract<PageEvent, { type: K }>) => void } = {
  state: ({ state }) => showState(state),
  push: ({ push }) => showPushEvent(push),
  gone: ({ push }) => removePush(push),
  log: (event) => rows.get(event.push)?.addLines(event),
  notStarted: ({ entry }) => showNotStarted(entry),
  letters: (event) => letters.update(event.letters),
  traffic: (event) => traffic.update(event.traffic),
  sample: ({ sample }) => traffic.add(sample),
  end: () => {
    isOver = true;
    connection("ended", "the rehearsal has ended");
  },
};

function show<K extends PageEvent["type"]>(event: Extract<PageEvent, { type: K }>): void {
  SHOW[event.type as K](event);
}

function connection(state: string, text: string): void {
  const element = byId("connection");
  element.dataset.state = state;
  setText(element, text);
}

const events = new EventSource("/events");
events.addEventListener("open", () => {
  isOver = false;
  connection("live", "live");
});
events.addEventListener("message", ({ data }: MessageEvent<string>) => show(JSON.parse(data)));
events.addEventListener("error", () => {
  if (!isOver) connection("lost", "connection lost, trying again");
});

setInterval(() => {
  for (const row of rows.values()) row.tick();
  for (const time of document.querySelectorAll<HTMLTimeElement>("#not-started time")) {
    setText(time, age(Date.parse(time.dateTime)));
  }
}, 1000);
