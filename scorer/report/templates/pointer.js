for (const figure of document.querySelectorAll("figure")) {
  const plot = figure.querySelector("svg.plot"), said = figure.querySelector(".readout");
  if (!plot || !said) continue;
  const points = [...plot.querySelectorAll(".values")].flatMap(({ dataset }) => {
    const columns = dataset.columns.split("|");
    return dataset.points.split(";").map(point => {
      const [x, y, ...values] = point.split(" ");
      return { x: Number(x), y: Number(y), text: `${dataset.name}: ${columns.map((name, n) => `${name} ${values[n]}`).join(", ")}` };
    });
  });
  const hint = said.textContent = "Point at the plot for its values.";
  const mark = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  mark.setAttribute("class", "mark");
  mark.setAttribute("r", 3.5);
  plot.addEventListener("pointermove", event => {
    const own = event.target.querySelector?.("title");
    if (!points.length) {
      if (event.target !== plot && own) said.textContent = own.textContent;
      return;
    }
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(plot.getScreenCTM().inverse());
    const far = ({ x, y }) => (x - place.x) ** 2 + (y - place.y) ** 2;
    const near = points.reduce((best, point) => (far(point) < far(best) ? point : best));
    said.textContent = near.text;
    mark.setAttribute("cx", near.x);
    mark.setAttribute("cy", near.y);
    if (!mark.parentNode) plot.append(mark);
  });
  plot.addEventListener("pointerleave", () => { said.textContent = hint; mark.remove(); });
}
