for (const tool of document.querySelectorAll("[data-thresholds]")) {
  const { positives, negatives, threshold, hits, false: wrong, start, now: [hitsNow, wrongNow] } = JSON.parse(tool.dataset.thresholds);
  const slider = tool.querySelector("[name=threshold]"), exact = tool.querySelector("[name=exact]");
  const cells = name => tool.querySelector(`[data-out=${name}]`);
  const count = number => number.toLocaleString("en-US");
  const ratio = (part, whole) => (whole ? (part / whole).toFixed(4) : "undefined");
  tool.hidden = false;
  // The slider goes from low thresholds to high ones; the counts are the other way round.
  slider.max = threshold.length - 1;
  slider.value = threshold.length - 1 - start;
  const show = () => {
    const at = threshold.length - 1 - Number(slider.value);
    const tp = hits[at], fp = wrong[at], fn = positives - tp, tn = negatives - fp;
    const [costFp, costFn] = ["cost-fp", "cost-fn"].map(name => Number(tool.querySelector(`[name=${name}]`).value) || 0);
    const shown = {
      tp: count(tp), fp: count(fp), fn: count(fn), tn: count(tn),
      threshold: threshold[at].toPrecision(4), precision: ratio(tp, tp + fp), recall: ratio(tp, positives), f1: ratio(2 * tp, positives + tp + fp),
      accuracy: ratio(tp + tn, positives + negatives),
      cost: (costFp * fp + costFn * fn).toLocaleString("en-US", { maximumFractionDigits: 2 }),
    };
    for (const [name, text] of Object.entries(shown)) cells(name).textContent = text;
    const more = change => (change ? `${count(Math.abs(change))} ${change > 0 ? "more" : "fewer"}` : "as many");
    cells("change").textContent = tp === hitsNow && fp === wrongNow ? "These are the predictions at hand."
      : `Beside the predictions at hand: ${more(hitsNow - tp)} missed, ${more(fp - wrongNow)} wrongly labelled.`;
    slider.setAttribute("aria-valuetext", shown.threshold);
    if (document.activeElement !== exact) exact.value = shown.threshold;
  };
  const go = place => { slider.value = threshold.length - 1 - place; show(); };
  const places = threshold.map((_, place) => place);
  slider.addEventListener("input", show);
  for (const name of ["cost-fp", "cost-fn"]) tool.querySelector(`[name=${name}]`).addEventListener("input", show);
  exact.addEventListener("input", () => {
    const wanted = Number(exact.value);
    if (exact.value) go(places.findLast(place => threshold[place] >= wanted) ?? 0);
  });
  const precision = place => hits[place] / Math.max(1, hits[place] + wrong[place]);
  tool.querySelector("[name=find]").addEventListener("click", () => {
    const least = Number(tool.querySelector("[name=precision]").value);
    const reaching = places.filter(place => precision(place) >= least);
    cells("found").textContent = reaching.length ? "" : `No threshold reaches a precision of ${least}.`;
    if (reaching.length) go(reaching.reduce((best, place) => (hits[place] > hits[best] ? place : best)));
  });
  tool.querySelector("[name=cheapest]").addEventListener("click", () => {
    const [costFp, costFn] = ["cost-fp", "cost-fn"].map(name => Number(tool.querySelector(`[name=${name}]`).value) || 0);
    const cost = place => costFp * wrong[place] + costFn * (positives - hits[place]);
    go(places.reduce((best, place) => (cost(place) < cost(best) ? place : best)));
  });
  show();
}
