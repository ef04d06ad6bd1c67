"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");

  /* Theme: what the system says, until the reader chooses; the choice is kept where the browser allows it. */
  const KEY = "ganprune-theme";
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  try {
    const kept = localStorage.getItem(KEY);
    if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  } catch { /* storage is off: the system's theme it is */ }

  function theme() {
    const button = document.getElementById("theme");
    const show = () => button.setAttribute("aria-pressed", String(dark()));
    button.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      try { localStorage.setItem(KEY, root.dataset.theme); } catch { /* not kept */ }
      show();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
    show();
  }

  /* Sorting: each header becomes a button; up, down, and back to the order of the report. */
  const NEXT = { none: "ascending", ascending: "descending", descending: "none" };

  function compare(a, b, numeric, sign) {
    if (a === b) return 0;
    if (a === "") return 1;
    if (b === "") return -1;
    return sign * (numeric ? Number(a) - Number(b) : a.localeCompare(b, "en"));
  }

  function sortable(table) {
    const original = [...table.querySelectorAll("tbody.entry")];
    const headers = [...table.querySelectorAll("thead th[data-type]")];
    headers.forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...header.childNodes);
      header.append(button);
      header.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const order = NEXT[header.getAttribute("aria-sort")];
        headers.forEach((other) => other.setAttribute("aria-sort", "none"));
        header.setAttribute("aria-sort", order);
        const value = (body) => body.rows[0].cells[column].dataset.v;
        const sign = order === "ascending" ? 1 : -1;
        const numeric = header.dataset.type === "number";
        const sorted = order === "none" ? original
          : [...original].sort((a, b) => compare(value(a), value(b), numeric, sign));
        table.append(...sorted);
        document.getElementById("count").textContent =
          order === "none" ? "In the report's order" : `Sorted by ${button.textContent}, ${order}`;
      });
    });
  }

  function toggle(button, open) {
    button.setAttribute("aria-expanded", String(open));
    document.getElementById(button.getAttribute("aria-controls")).classList.toggle("open", open);
  }

  function filtering(form) {
    const entries = [...document.querySelectorAll("tbody.entry")];
    const text = document.getElementById("filter-text");
    const selects = [...form.querySelectorAll("select")];
    const words = new Map(entries.map((entry) => [entry, Object.values(entry.dataset).join(" ").toLowerCase()]));
    const apply = () => {
      const wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const entry of entries) {
        const fits = wanted.every((word) => words.get(entry).includes(word))
          && selects.every((select) => !select.value || entry.dataset[select.dataset.filter] === select.value);
        entry.hidden = !fits;
        shown += fits;
      }
      for (const part of document.querySelectorAll(".workload"))
        part.hidden = !part.querySelector("tbody.entry:not([hidden])");
      document.getElementById("count").textContent = `${shown} of ${entries.length} rows`;
    };
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(apply));
    apply();
  }

  /* A link to a row or to samples finds its target even where a filter hides it. */
  function arriving() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.closest("[hidden]")) document.querySelector(".filters").reset();
    for (let part = target.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
    if (target.hasAttribute("tabindex")) setTimeout(() => { target.focus(); target.scrollIntoView({ block: "center" }); });
  }

  /* Zoom: the picture itself moves into the dialog and back, so that no id stands in the page twice. */
  function zooming() {
    const dialog = document.getElementById("zoom");
    const stage = dialog.querySelector(".stage");
    let home = null;
    const open = (figure) => {
      const card = figure.querySelector("[data-zoom]");
      home = { card, button: figure.querySelector(".enlarge") };
      card.style.minHeight = `${card.offsetHeight}px`;
      document.getElementById("zoom-title").textContent = card.querySelector("[aria-label], img").getAttribute("aria-label")
        || card.querySelector("img").alt;
      stage.append(...card.childNodes);
      const image = stage.querySelector("img");
      if (image) {
        const room = Math.min((innerWidth - 48) / image.naturalWidth, (innerHeight - 120) / image.naturalHeight);
        image.style.width = `${image.naturalWidth * Math.max(1, Math.floor(room))}px`;
      }
      home.button.focus();
      dialog.showModal();
    };
    const restore = () => {
      if (!home) return;
      const image = stage.querySelector("img");
      if (image) image.style.width = "";
      home.card.append(...stage.childNodes);
      home.card.style.minHeight = "";
      home.button.focus();
      home = null;
    };
    for (const figure of document.querySelectorAll("figure:has([data-zoom])")) {
      figure.querySelector(".enlarge").addEventListener("click", () => open(figure));
      figure.querySelector("[data-zoom]").addEventListener("click", () => open(figure));
    }
    dialog.addEventListener("close", restore);
    document.getElementById("zoom-close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  }

  document.addEventListener("DOMContentLoaded", () => {
    theme();
    const form = document.querySelector(".filters");
    if (form) filtering(form);
    document.querySelectorAll("table.results").forEach(sortable);
    for (const button of document.querySelectorAll("button.more"))
      button.addEventListener("click", () => toggle(button, button.getAttribute("aria-expanded") !== "true"));
    zooming();
    addEventListener("hashchange", arriving);
    arriving();
    addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
  });
})();
