// Keeps the timelines of a page up to date: over a socket, else by a stream of events, else by polling, else (without this script)
// by reloading.
//
// A section with data-timelines takes on the html of each frame. Elsewhere, an element with an id and the attribute
// data-timelines-page takes on what it is on this page when that is fetched again. On the section:
//   data-timelines-state   connecting | live | streaming | polling | offline | refused | ended
//   "timelines:frame"      an event that bubbles, with the frame as its detail

import { Idiomorph } from "./vendor/idiomorph.esm.js";

const ENDED = ["completed", "failed", "cancelled"];
const FIRST_WAIT = 500; // ms until what failed is tried again, doubling
const LONGEST_WAIT = 30_000;
const FAILURES = 3; // connections that did not last, in a row, after which the page does without
const LASTING = 5_000; // ms that a socket must be open to count as one that lasts: some proxies let it open and cut it
const FIRST_EVENT = 5_000; // ms that a socket or stream may take to begin: some proxies hold it back
const MOST_STREAMS = 2; // of a page: a browser has few connections for each host
const FIRST_POLL = 2_000; // ms, half as much again each time nothing is new
const LONGEST_POLL = 15_000;
const PAGE_WAIT = 150; // ms: several frames at once fetch the page once
const LONGEST_PAGE = 30_000; // ms that the page may take to come
const FAMILY_WAIT = 600; // ms, where only children move
const PROGRESS_WAIT = 3_000; // ms between two fetches of the page while a long step goes on and nothing else happens

// Not all pages at once: the site may have been away for all of them.
function waitAfter(failures) {
  return Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);
}

class LiveTimeline {
  constructor(section) {
    this.section = section;
    this.sequence = Number(section.dataset.timelinesSequence);
    this.version = section.dataset.timelinesVersion ?? "";
    this.failures = 0;
    this.pollWait = FIRST_POLL;
    if (section.hasAttribute("data-timelines-ended")) return this.say("ended");
    this.connect();
  }

  get isOver() {
    return this.section.dataset.timelinesState === "ended" || this.isRefused || !this.section.isConnected;
  }

  get isRefused() {
    return this.section.dataset.timelinesState === "refused";
  }

  say(state) {
    this.section.dataset.timelinesState = state;
  }

  sayWhatIsSeen(address) {
    address.searchParams.set("after", this.sequence);
    address.searchParams.set("version", this.version);
  }

  // The socket

  connect() {
    clearTimeout(this.retry);
    if (this.isOver || this.socket) return;
    const path = this.section.dataset.timelinesSocket;
    if (!path || !("WebSocket" in window)) return this.doWithout();
    if (!this.polling && !this.stream) this.say(navigator.onLine ? "connecting" : "offline");
    let opened = false;
    const address = new URL(path, location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    this.sayWhatIsSeen(address);
    const socket = (this.socket = new WebSocket(address));
    this.trial = setTimeout(() => {
      socket.close();
      this.doWithout();
    }, FIRST_EVENT);
    socket.onopen = () => {
      opened = true;
      clearTimeout(this.trial);
      this.trial = setTimeout(() => {
        this.failures = 0;
        this.relyOnSocket();
      }, LASTING);
      if (!this.polling && !this.stream) this.say("live");
    };
    socket.onmessage = (message) => {
      this.relyOnSocket();
      this.apply(JSON.parse(message.data));
    };
    socket.onclose = () => {
      clearTimeout(this.trial);
      this.socket = null;
      if (this.isOver) return;
      this.failures += 1;
      if (!opened && this.failures === 1) this.ask(); // refused, or unreachable? The page's own address tells
      if (this.failures >= FAILURES) this.doWithout();
      else if (!this.polling && !this.stream) this.say(navigator.onLine ? "connecting" : "offline");
      this.retry = setTimeout(() => this.connect(), waitAfter(this.failures));
    };
  }

  relyOnSocket() {
    if (this.isOver) return;
    this.stopPolling();
    this.stopStreaming();
    this.say("live");
  }

  // Without a socket

  doWithout() {
    if (this.polling || this.stream || this.isOver) return;
    if (this.canStream) this.listen();
    else this.poll();
  }

  get canStream() {
    const isServed = this.section.dataset.timelinesSocket && "EventSource" in window && !this.isHeldBack;
    return isServed && streaming.size < MOST_STREAMS && document.visibilityState === "visible";
  }

  listen() {
    const address = new URL(this.section.dataset.timelinesSocket, location.href);
    this.sayWhatIsSeen(address);
    const stream = (this.stream = new EventSource(address));
    streaming.add(this);
    const giveUp = () => {
      this.isHeldBack = true;
      this.stopStreaming();
      this.poll();
    };
    this.firstEvent = setTimeout(giveUp, FIRST_EVENT);
    stream.addEventListener("hello", () => {
      clearTimeout(this.firstEvent);
      this.say("streaming");
    });
    stream.addEventListener("end", giveUp); // polling finds out what that means
    stream.onmessage = (message) => this.apply(JSON.parse(message.data));
    stream.onerror = () => {
      if (stream.readyState === EventSource.CLOSED) giveUp();
      else if (!navigator.onLine) this.say("offline"); // it comes back by itself, from the last frame
    };
  }

  stopStreaming() {
    clearTimeout(this.firstEvent);
    this.stream?.close();
    this.stream = null;
    streaming.delete(this);
  }

  poll() {
    if (this.polling || this.isOver) return;
    this.polling = true;
    this.say("polling");
    this.pollWait = FIRST_POLL;
    this.pollOnce();
  }

  stopPolling() {
    this.polling = false;
    clearTimeout(this.pollTimer);
  }

  async pollOnce() {
    clearTimeout(this.pollTimer);
    const isNew = await this.ask();
    if (!this.polling || this.isOver) return;
    this.pollWait = isNew ? FIRST_POLL : Math.min(LONGEST_POLL, this.pollWait * 1.5);
    clearTimeout(this.pollTimer);
    this.pollTimer = setTimeout(() => this.pollOnce(), this.pollWait * (0.9 + Math.random() / 5));
  }

  async ask() {
    const address = new URL(this.section.dataset.timelinesSince, location.href);
    this.sayWhatIsSeen(address);
    try {
      const signal = AbortSignal.timeout(LONGEST_PAGE); // of somebody who holds the answer back
      const response = await fetch(address, { headers: { Accept: "application/json" }, signal });
      if ([403, 404].includes(response.status)) this.end("refused");
      else if (this.isRefused && response.ok) this.comeBack();
      if (this.polling && !this.isOver) this.say("polling");
      if (response.status !== 200) return false;
      return this.apply(await response.json());
    } catch {
      if (this.polling && !this.isOver) this.say("offline");
      return false;
    }
  }

  // Frames

  apply(frame) {
    if (!this.section.isConnected) this.end("ended"); // it has left the page
    if (this.isOver || frame.sequence < this.sequence) return false;
    const isNew = frame.sequence > this.sequence;
    const isOfAnother = frame.version !== this.version; // a child of it has moved
    if (!isNew && !isOfAnother && frame.html === this.html) return false; // drawn again, and the same
    this.sequence = frame.sequence;
    this.version = frame.version;
    this.html = frame.html;
    this.section.dataset.timelinesSequence = frame.sequence;
    this.section.dataset.timelinesVersion = frame.version;
    this.section.dataset.timelinesStatus = frame.status;
    morph(this.section, frame.html, "innerHTML");
    this.section.dispatchEvent(new CustomEvent("timelines:frame", { bubbles: true, detail: frame }));
    page.refresh(isNew ? PAGE_WAIT : isOfAnother ? FAMILY_WAIT : PROGRESS_WAIT);
    if (ENDED.includes(frame.status)) this.end("ended");
    return true;
  }

  end(state) {
    this.say(state);
    this.stopPolling();
    this.stopStreaming();
    clearTimeout(this.retry);
    this.socket?.close();
    if (state !== "refused" || !this.section.isConnected) return;
    document.querySelectorAll("form[data-timelines-form]").forEach((form) => keep(form, NOTHING));
    this.retry = setInterval(() => this.ask(), LONGEST_WAIT);
  }

  // It was a proxy that refused, while the site was away; or somebody may look again.
  comeBack() {
    this.failures = 0;
    this.say("connecting");
    this.connect();
    page.refresh();
  }

  wake() {
    if (this.isRefused) this.ask();
    if (this.isOver) return;
    if (this.polling && this.canStream) {
      this.stopPolling();
      this.listen();
    } else if (this.polling) this.pollOnce();
    if (this.socket) this.tryOut(this.socket);
    else this.connect();
  }

  // A socket that died without a word looks as if it lived.
  async tryOut(socket) {
    const seen = this.sequence;
    if ((await this.ask()) && this.sequence > seen) socket.close(); // it had not brought that
  }
}

// The rest of the page

const NOTHING = new Document(); // a page that has no place for anything

const page = {
  failures: 0, // in a row

  refresh(wait = PAGE_WAIT) {
    const due = performance.now() + wait;
    if (this.timer && this.due <= due) return; // it is fetched soon enough
    clearTimeout(this.timer);
    if (!document.querySelector("[data-timelines-page][id]")) return;
    this.due = due;
    this.timer = setTimeout(() => this.fetch(), wait);
  },

  async fetch() {
    this.timer = null;
    this.again = this.isUnderWay; // one at a time: what that one brings may be older
    if (this.isUnderWay) return;
    this.isUnderWay = true;
    try {
      const signal = AbortSignal.timeout(LONGEST_PAGE);
      const response = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store", signal });
      if (!response.ok) throw new Error(response.statusText);
      if (response.redirected && response.url !== location.href.split("#")[0]) this.leadTo(response.url);
      else this.apply(new DOMParser().parseFromString(await response.text(), "text/html"));
      this.failures = 0;
    } catch {
      this.failures += 1;
      this.refresh(waitAfter(this.failures)); // no frame does: the timeline waits, or has ended
    } finally {
      this.isUnderWay = false;
      if (this.again) this.refresh();
    }
  },

  apply(fresh) {
    this.late = false;
    document.querySelectorAll("form[data-timelines-form]").forEach((form) => renew(form, fresh.getElementById(form.id)));
    let isAnother = false; // it has not what this page has: another template is its own now
    for (const element of document.querySelectorAll("[data-timelines-page][id]")) {
      const now = fresh.getElementById(element.id);
      if (isInUse(element, fresh)) this.late = true; // fetched again when it is left
      else if (now) morph(element, now, "outerHTML");
      else isAnother = true;
    }
    if (isAnother && isInUse(document.documentElement)) this.late = true; // a new page has no place for anything
    // no reload: that would send the form again to which this page is the answer; and with a fragment nothing is loaded
    if (isAnother && !this.late) location.replace(location.href.split("#")[0]);
  },

  // Its step is gone, or who looks is to log in. Not to the address of this page, which might be loaded again and again.
  leadTo(address) {
    this.late = isInUse(document.documentElement, NOTHING);
    if (!this.late) location.replace(address);
  },

  left() {
    if (this.late) this.refresh();
  },
};

// Somebody types in it, has typed or is sending something that the fresh page (if any) has no place for, or has a dialog open.
function isInUse(element, fresh) {
  const active = document.activeElement;
  const types = active?.matches("input, textarea, select, [contenteditable]") && element.contains(active);
  const isKept = [...element.querySelectorAll("form[data-timelines-form]")].filter((form) => keep(form, fresh)).length > 0;
  return types || isKept || Boolean(element.closest("dialog[open]") ?? element.querySelector("dialog[open]"));
}

// A form that is gone from the fresh page stays while somebody has filled in something, and says so; a sent one stays as well, and
// so does one that came back with what is wrong: what it shows was typed.
function keep(form, fresh) {
  if (fresh?.getElementById(form.id)) return false; // the same form: it is left as it is
  if (form.hasAttribute("data-timelines-sent")) return true;
  if (![...form.elements].some(isFilledIn) && !form.querySelector("[aria-invalid=true], .errorlist, [role=alert]")) return false;
  if (fresh) sayWhetherStale(form, true);
  return true;
}

function sayWhetherStale(form, isStale) {
  form.querySelectorAll("[data-timelines-stale]").forEach((note) => (note.hidden = !isStale));
}

// The same form is left as it is, but for Django's token, which a login in another tab has changed.
function renew(form, now) {
  if (now) sayWhetherStale(form, false);
  const [token, fresh] = [form, now].map((one) => one?.querySelector("input[name=csrfmiddlewaretoken]"));
  if (token && fresh) token.value = fresh.value;
}

function isFilledIn(control) {
  if (control.matches("select")) return isChosenIn(control);
  if (control.matches("[type=checkbox], [type=radio]")) return control.checked !== control.defaultChecked;
  return control.matches("input:not([type=hidden]), textarea") && control.value !== control.defaultValue;
}

// Where the page chooses nothing in a list the browser chooses the first.
function isChosenIn(select) {
  const options = [...select.options];
  const first = select.multiple || options.some((option) => option.defaultSelected) ? null : options[0];
  return options.some((option) => option.selected !== (option.defaultSelected || option === first));
}

function morph(element, html, morphStyle) {
  Idiomorph.morph(element, html, {
    morphStyle,
    ignoreActiveValue: true,
    callbacks: {
      // The same form is the same: what was typed, chosen or marked as wrong stays.
      beforeNodeMorphed: (node, now) => !(now.id && node.id === now.id && node.matches?.("form[data-timelines-form]")),
      // What a person has opened stays open.
      beforeAttributeUpdated: (name, node) => !(name === "open" && node.matches("details, dialog")),
    },
  });
}

// A diagram that is too large for its room is shown where the timeline stands: what needs a person, else what goes on.
function showWhereItStands(room) {
  const stands = ["blocked", "running", "retrying", "overdue", "waiting", "due"].map((status) => `.timelines-box.timelines-is-${status}`);
  const box = stands.map((status) => room.querySelector(status)).find(Boolean) ?? room.querySelector(".timelines-box");
  if (!box) return;
  const [inner, outer] = [box.getBoundingClientRect(), room.getBoundingClientRect()];
  room.scrollBy(inner.x + inner.width / 2 - (outer.x + outer.width / 2), inner.y + inner.height / 2 - (outer.y + outer.height / 2));
}

document.querySelectorAll(".timelines-room").forEach(showWhereItStands);
const streaming = new Set(); // the timelines of this page that have a stream
const live = [...document.querySelectorAll("[data-timelines]")].map((section) => new LiveTimeline(section));
const wake = () => document.visibilityState === "visible" && live.forEach((timeline) => timeline.wake());
addEventListener("online", wake);
addEventListener("pageshow", (event) => {
  document.querySelectorAll("[data-timelines-sent]").forEach((form) => form.removeAttribute("data-timelines-sent"));
  if (event.persisted) wake();
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") return wake();
  streaming.forEach((timeline) => timeline.stopStreaming()); // a page that nobody sees takes no connection from others
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-timelines-form]")) return;
  event.target.setAttribute("data-timelines-sent", "");
  // a listener that is asked after this one may call it off
  setTimeout(() => event.defaultPrevented && event.target.removeAttribute("data-timelines-sent"));
});
document.addEventListener("focusout", () => page.left());
document.addEventListener("close", () => page.left(), true); // of a dialog; this event does not bubble
