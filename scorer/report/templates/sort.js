"use strict";
// Sort any table by a column: once up, twice down, three times as it was.
for (const table of document.querySelectorAll("main table:not(.matrix)")) {
  const body = table.tBodies[0], order = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, column) => {
    const text = (row.cells[column]?.textContent ?? "").trim();
    const number = parseFloat(text.replaceAll(",", "").replace("\u2212", "-"));
    return Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) => {
    if (typeof a === typeof b) return typeof a === "number" ? a - b : a.localeCompare(b);
    return typeof a === "number" ? -1 : 1;
  };
  heads.forEach((head, column) => {
    if (!head.textContent.trim() || head.classList.contains("scale") || order.length < 2) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort") ?? "none"];
      for (const one of heads) one.removeAttribute("aria-sort");
      if (next === "none") return body.append(...order);
      head.setAttribute("aria-sort", next);
      const sign = next === "ascending" ? 1 : -1;
      body.append(...[...order].sort((a, b) => {
        const left = value(a, column), right = value(b, column);
        // Texts such as "undefined" stay behind numbers in both directions.
        return typeof left === typeof right ? sign * compare(left, right) : compare(left, right);
      }));
    });
  });
}
for (const box of document.querySelectorAll(".scroll")) {
  const mark = () => { box.dataset.more = box.scrollLeft + box.clientWidth < box.scrollWidth - 2; };
  box.addEventListener("scroll", mark);
  new ResizeObserver(mark).observe(box);
}
