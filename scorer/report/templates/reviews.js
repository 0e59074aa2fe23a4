for (const list of document.querySelectorAll("[data-reviews]")) {
  const panel = list.querySelector(".search"), input = panel.querySelector("input");
  const button = panel.querySelector("button"), status = panel.querySelector("[role=status]");
  const choices = [...panel.querySelectorAll("select")];
  const reviews = [...list.querySelectorAll(".review")].map(element => ({ element, text: element.textContent.toLowerCase() }));
  panel.hidden = !reviews.length;
  const filter = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { element, text } of reviews) {
      const chosen = choices.every(({ name, value }) =>
        !value || (name === "gold" || name === "predicted" ? element.dataset[name] === value : element.dataset[name].split(" ").includes(value)));
      element.hidden = !chosen || !words.every(word => text.includes(word));
      shown += element.hidden ? 0 : 1;
    }
    status.textContent = shown < reviews.length ? `${shown} of ${reviews.length} shown` : `${shown} shown`;
  };
  input.addEventListener("input", filter);
  for (const choice of choices) choice.addEventListener("change", filter);
  button.addEventListener("click", () => {
    const open = reviews.some(({ element }) => !element.hidden && !element.open);
    for (const { element } of reviews) if (!element.hidden) element.open = open;
    button.textContent = open ? "Close all" : "Open all";
  });
}
