// The filter of a page. It hides rows that do not match, and creates no markup.
"use strict";
(() => {
  const PAUSE = 120; // milliseconds after the last key, so that a long plan is not searched after every key
  const form = document.getElementById("filter");
  const words = form.querySelector("input[type=search]");
  const boxes = [...form.querySelectorAll("input[type=checkbox]")];
  const found = document.getElementById("found");
  const folds = [...document.querySelectorAll("details")];
  const sections = [...document.querySelectorAll("section")];
  const rows = [...document.querySelectorAll("tr[data-action]")];
  const same = [...document.querySelectorAll(".same > li")];
  const texts = new Map();
  let opened = null; // which folds were open before the filter opened some

  const plain = (text) => text.normalize("NFC").toLowerCase();
  const shows = (place) => place.querySelector("tr[data-action]:not([hidden]), .same > li:not([hidden])") !== null;

  function text(item) {
    if (!texts.has(item)) {
      texts.set(item, plain(item.textContent));
    }
    return texts.get(item);
  }

  function show(items, matches) {
    let count = 0;
    for (const item of items) {
      const shown = matches(item);
      count += shown;
      if (item.hidden === shown) {
        item.hidden = !shown;
      }
    }
    return count;
  }

  function filter() {
    const wanted = plain(words.value).split(/\s+/).filter(Boolean);
    const actions = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const active = wanted.length > 0 || actions.size > 0;
    const matches = (item) => wanted.every((word) => text(item).includes(word));
    const changes = show(rows, (row) => (actions.size === 0 || actions.has(row.dataset.action)) && matches(row));
    const unchanged = show(same, (item) => actions.size === 0 && matches(item));
    for (const part of document.querySelectorAll(".part, .same")) {
      part.hidden = active && !shows(part);
    }
    opened ??= active ? folds.map((fold) => fold.open) : null;
    folds.forEach((fold, position) => {
      const any = !active || shows(fold);
      fold.hidden = !any;
      fold.open = active ? any : (opened?.[position] ?? fold.open);
    });
    if (!active) {
      opened = null;
    }
    for (const section of sections) {
      section.querySelector(".no-match").hidden = !active || shows(section);
    }
    const also = same.length ? `, ${unchanged} of ${same.length} ${form.dataset.folded}` : "";
    found.textContent = `${changes} of ${rows.length} ${form.dataset.rows}${also}`;
  }

  let waiting;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, PAUSE);
  });
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    filter();
  });

  // Nobody can unfold paper.
  let before = [];
  addEventListener("beforeprint", () => {
    before = folds.map((fold) => fold.open);
    folds.forEach((fold) => { fold.open = true; });
  });
  addEventListener("afterprint", () => {
    folds.forEach((fold, position) => { fold.open = before[position]; });
  });

  filter();
  form.hidden = false;
})();
