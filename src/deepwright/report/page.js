"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Tables: sort, search, copy, CSV.
  const number = (cell) => {
    const value = cell.dataset.v;
    if (value === undefined) return null;
    return value === "inf" ? Infinity : value === "-inf" ? -Infinity : Number(value);
  };
  const sort = (header) => {
    const table = header.closest("table");
    const index = [...header.parentNode.children].indexOf(header);
    const down = header.getAttribute("aria-sort") === "ascending";
    for (const other of header.parentNode.children) other.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => {
      const x = number(a.cells[index]), y = number(b.cells[index]);
      const order = x !== null && y !== null ? x - y
        : a.cells[index].textContent.localeCompare(b.cells[index].textContent, undefined, { numeric: true });
      return down ? -order : order;
    });
    table.tBodies[0].append(...rows);
  };
  const cells = (table) => [table.tHead.rows[0], ...table.tBodies[0].rows].filter((row) => !row.hidden)
    .map((row) => [...row.cells].map((cell) => cell.dataset.v === undefined ? cell.textContent : cell.dataset.v));
  // As core/spreadsheets.py: what a spreadsheet would work out is shown as text.
  const formula = /^'* *[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]/, plain = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
  const guarded = (text) => plain.test(text) || !formula.test(text) ? text : "'" + text;
  const quoted = (text) => /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  const csv = (table) => cells(table).map((row) => row.map((text) => quoted(guarded(text))).join(",")).join("\n") + "\n";
  const tsv = (table) => cells(table).map((row) => row.map((text) => guarded(text).replace(/\s+/g, " ")).join("\t")).join("\n");
  const copy = async (text, button) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const box = document.createElement("textarea");
      box.value = text;
      document.body.append(box);
      box.select();
      document.execCommand("copy");
      box.remove();
    }
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 1200);
  };
  const save = (text, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\uFEFF" + text], { type: "text/csv;charset=utf-8" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const file = (table) => table.getAttribute("aria-label").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 50) + ".csv";
  for (const table of all("table.data")) {
    const first = table.tBodies[0].rows[0];
    if (first) [...first.cells].forEach((cell, i) => table.tHead.rows[0].cells[i].classList.toggle("n", cell.classList.contains("n")));
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    const cutting = event.target.closest(".cut");
    if (cutting && !event.target.closest("a, summary, th")) cutting.classList.toggle("whole");
    if (!button) return;
    const table = button.closest(".table")?.querySelector("table");
    if (button.closest("th")) sort(button.closest("th"));
    else if ("copy" in button.dataset) copy(tsv(table), button);
    else if ("csv" in button.dataset) save(csv(table), file(table));
    else if ("code" in button.dataset) copy(button.previousElementSibling.textContent, button);
  });
  document.addEventListener("input", (event) => {
    if (event.target.type !== "search") return;
    const wanted = event.target.value.toLowerCase();
    for (const row of all("tbody tr", event.target.closest(".table"))) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });

  // Sections: anchors open theirs, print opens all.
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (link && link.hash === location.hash) reveal();
  });
  reveal();
  const toggle = document.getElementById("all");
  const sections = all("details.section");
  if (toggle) {
    const tell = () => { toggle.textContent = sections.every((s) => s.open) ? "Close all" : "Open all"; };
    toggle.addEventListener("click", () => {
      const open = !sections.every((s) => s.open);
      for (const section of sections) section.open = open;
    });
    addEventListener("toggle", tell, true);
    tell();
  }
  let closed = [];
  addEventListener("beforeprint", () => { closed = all("details:not([open])"); for (const d of closed) d.open = true; });
  addEventListener("afterprint", () => { for (const d of closed) d.open = false; });

  // Values under the pointer.
  const tip = document.getElementById("tip");
  const show = (event) => {
    const target = event.target.closest("[data-tip]");
    if (!target) { tip.hidden = true; return; }
    tip.textContent = target.dataset.tip;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(event.clientX + 12, innerWidth - box.width - 8)) + "px";
    tip.style.top = Math.max(4, event.clientY - box.height - 10) + "px";
  };
  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
})();
