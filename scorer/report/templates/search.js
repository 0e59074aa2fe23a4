"use strict";
for (const list of document.querySelectorAll("[data-reviews]")) {
  const panel = list.querySelector(".search"), input = panel.querySelector("input");
  const button = panel.querySelector("button"), status = panel.querySelector("[role=status]");
  const reviews = [...list.querySelectorAll(".review")].map(element => ({ element, text: element.textContent.toLowerCase() }));
  if (!reviews.length) continue;
  panel.hidden = false;
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { element, text } of reviews) {
      element.hidden = !words.every(word => text.includes(word));
      shown += element.hidden ? 0 : 1;
    }
    status.textContent = words.length ? `${shown} of ${reviews.length} shown` : `${shown} shown`;
  });
  button.addEventListener("click", () => {
    const open = reviews.some(({ element }) => !element.hidden && !element.open);
    for (const { element } of reviews) if (!element.hidden) element.open = open;
    button.textContent = open ? "Close all" : "Open all";
  });
}
