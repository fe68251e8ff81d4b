"use strict";
(() => {
  const number = (cell) => {
    if (cell.dataset.v === undefined) return null;
    const value = cell.dataset.v;
    return value === "inf" ? Infinity : value === "-inf" ? -Infinity : Number(value);
  };
  const sort = (header) => {
    const table = header.closest("table");
    const index = [...header.parentNode.children].indexOf(header);
    const down = header.getAttribute("aria-sort") === "ascending";
    for (const other of header.parentNode.children) other.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const rows = [...body.rows];
    rows.sort((a, b) => {
      const x = number(a.cells[index]), y = number(b.cells[index]);
      const order = x !== null && y !== null ? x - y
        : a.cells[index].textContent.localeCompare(b.cells[index].textContent, undefined, { numeric: true });
      return down ? -order : order;
    });
    body.append(...rows);
  };
  for (const header of document.querySelectorAll("table.data th")) {
    header.addEventListener("click", () => sort(header));
    header.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(header); } });
  }
  for (const input of document.querySelectorAll("input[type=search]")) {
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase();
      for (const row of input.closest(".table").querySelectorAll("tbody tr")) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
  }
  const hint = () => {
    for (const box of document.querySelectorAll(".scroll")) {
      const table = box.firstElementChild;
      box.classList.toggle("wide", table.offsetWidth > box.clientWidth);
    }
  };
  hint();
  addEventListener("resize", hint);
  addEventListener("toggle", hint, true);
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
