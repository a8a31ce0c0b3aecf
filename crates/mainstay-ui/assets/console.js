// Keeps the page up to date. Without it every page is complete and every form works.
//
// The server sends the names of topics; the page then fetches its own fragments again, with the reader's own
// authority, and replaces the regions that changed. Focus, typed text, scroll positions and opened details stay.
"use strict";

(() => {
  const startMs = Number(document.body.dataset.nowMs);
  if (!startMs) return; // A page without a frame has nothing to follow.
  const loadedAt = performance.now();
  const state = document.getElementById("live-state");
  const MIN_GAP_MS = 1000; // Bursts of topics cause one fetch.
  let source = null, retryTimer = 0, failures = 0, lastBeat = 0;
  let fetching = false, again = false, fetchTimer = 0, lastFetch = -MIN_GAP_MS;

  const nowMs = () => startMs + performance.now() - loadedAt;

  const say = (text) => { if (state.textContent !== text) state.textContent = text; };

  // The two largest units, as the server writes them.
  function span(ms) {
    const s = Math.floor(ms / 1000), min = Math.floor(s / 60), h = Math.floor(min / 60), d = Math.floor(h / 24);
    const two = (a, unit, b, small) => (b ? `${a} ${unit} ${b} ${small}` : `${a} ${unit}`);
    if (ms < 1000) return `${Math.max(0, Math.floor(ms))} ms`;
    if (s < 60) return `${s} s`;
    if (min < 60) return two(min, "min", s % 60, "s");
    if (h < 24) return two(h, "h", min % 60, "min");
    return two(d, "d", h % 24, "h");
  }

  function tick() {
    const now = nowMs();
    for (const age of document.querySelectorAll("[data-since]")) {
      age.textContent = span(now - Number(age.dataset.since));
    }
    const clock = document.querySelector("time.clock");
    if (clock) clock.textContent = `${new Date(now).toISOString().slice(11, 19)} UTC`;
    if (source && performance.now() - lastBeat > 40000) disconnect("Connection lost", true);
  }

  // What the server sent for a region, so that equal answers change nothing.
  const sent = new WeakMap();

  function replace(region, fresh) {
    const html = fresh.innerHTML;
    if (sent.get(region) === html) return;
    sent.set(region, html);
    const active = region.contains(document.activeElement) ? document.activeElement : null;
    const typed = [...region.querySelectorAll("input[id], textarea[id], select[id]")]
      .filter((field) => field.value !== field.defaultValue && field.type !== "hidden")
      .map((field) => [field.id, field.value]);
    const open = [...region.querySelectorAll("details[id]")].map((d) => [d.id, d.open]);
    const selection = active && active.selectionStart !== undefined ? [active.selectionStart, active.selectionEnd] : null;
    const path = active ? pathTo(region, active) : null;
    region.replaceChildren(...fresh.childNodes);
    const restore = (id, change) => { const node = document.getElementById(id); if (node) change(node); };
    for (const [id, value] of typed) restore(id, (field) => { field.value = value; });
    for (const [id, isOpen] of open) restore(id, (details) => { details.open = isOpen; });
    if (active) {
      const target = (active.id && document.getElementById(active.id)) || follow(region, path);
      if (target) target.focus({ preventScroll: true });
      if (target && selection && target.setSelectionRange) target.setSelectionRange(...selection);
    }
  }

  const pathTo = (root, node) => {
    const path = [];
    for (; node !== root; node = node.parentElement) path.unshift([...node.parentElement.children].indexOf(node));
    return path;
  };
  const follow = (root, path) => path.reduce((node, index) => node && node.children[index], root);

  async function refresh() {
    fetchTimer = 0;
    if (fetching) { again = true; return; }
    fetching = true;
    lastFetch = performance.now();
    try {
      const url = new URL(location.href);
      url.searchParams.set("fragment", "1");
      const answer = await fetch(url, { headers: { accept: "text/html" }, redirect: "manual" });
      if (answer.type === "opaqueredirect" || answer.status === 401) return location.reload();
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (fresh.title) document.title = fresh.title;
      for (const region of document.querySelectorAll(".live[id]")) {
        const match = fresh.getElementById(region.id);
        if (match) replace(region, match);
      }
      tick();
      say("Live.");
    } catch (error) {
      say(`Could not refresh (${error.message}); what is shown is getting old.`);
      failures += 1;
      soon(backoff());
    } finally {
      fetching = false;
      if (again) { again = false; soon(0); }
    }
  }

  function soon(extraMs) {
    if (fetchTimer) return;
    const wait = Math.max(extraMs, lastFetch + MIN_GAP_MS - performance.now(), 0);
    fetchTimer = setTimeout(refresh, wait);
  }

  // Full jitter, so that a restarted server is not met by every page at once.
  const backoff = () => 500 + Math.random() * Math.min(15000, 1000 * 2 ** Math.min(failures, 5));

  function connect() {
    retryTimer = 0;
    if (source || document.hidden) return;
    const topics = new Set([...document.querySelectorAll("[data-topic]")].map((region) => region.dataset.topic));
    if (topics.size === 0) return;
    source = new EventSource(`/events?topics=${encodeURIComponent([...topics].join(","))}`);
    lastBeat = performance.now();
    source.onopen = () => { failures = 0; say("Live."); soon(0); };
    source.onmessage = () => { lastBeat = performance.now(); soon(0); };
    source.addEventListener("beat", () => { lastBeat = performance.now(); });
    source.onerror = () => disconnect("Connection lost", true);
  }

  function disconnect(reason, retry) {
    if (source) source.close();
    source = null;
    say(retry ? `${reason}; trying again. What is shown is getting old.` : reason);
    if (retry && !retryTimer) {
      failures += 1;
      retryTimer = setTimeout(connect, backoff());
    }
  }

  // A browser opens six connections to one server: a hidden page gives its own up, or the seventh tab would hang.
  document.addEventListener("visibilitychange", () => (document.hidden ? disconnect("Paused while hidden.", false) : connect()));
  addEventListener("pagehide", () => disconnect("Paused.", false));
  addEventListener("pageshow", connect);

  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      document.getElementById("search")?.focus();
    }
  });

  const ownZone = document.getElementById("own-zone");
  if (ownZone) {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone, url = new URL(location.href);
    if (zone && url.searchParams.get("zone") !== zone) {
      url.searchParams.set("zone", zone);
      ownZone.href = url.pathname + url.search;
      ownZone.textContent = `in ${zone}`;
      ownZone.hidden = false;
    }
  }

  for (const region of document.querySelectorAll(".live[id]")) sent.set(region, region.innerHTML);
  setInterval(tick, 1000);
  connect();
})();
