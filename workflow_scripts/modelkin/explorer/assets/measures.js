// Whether measures agree on which pairs are alike, and on which pairs they do not.
function viewMeasures(state) {
  const agreement = table("measure_agreement");
  const kinds = agreement ? KINDS.filter((kind) => agreement.columns.kind.includes(kind)) : [];
  if (!kinds.length) return [element("h2", {}, "Measures"), element("p", { class: "lead" }, "Ranks of pairs are compared from four models and two measures on."), measureList()];
  const kind = [state.kind, remembered.kind].find((each) => kinds.includes(each)) ?? kinds[0];
  const rows = rowsOf("measure_agreement", { kind });
  const labels = MEASURES.map((each) => each.measure).filter((label) => rows.some((row) => row.measure === label || row.other === label));
  const found = (x, y) => rows.find((row) => (row.measure === x && row.other === y) || (row.measure === y && row.other === x));
  const least = [...rows].sort((x, y) => x.spearman - y.spearman)[0];
  const [x, y] = [state.x, state.y].every((label) => labels.includes(label)) && state.x !== state.y ? [state.x, state.y] : [least.measure, least.other];
  const titles = labels.map((label) => plain(measureTitle(label)));
  const written = labels.length > 12 || innerWidth < 700 ? [] : labels.flatMap((a, i) => labels.flatMap((b, j) => (i === j || !found(a, b) ? [] :
    [{ x: j, y: i, text: fixed(found(a, b).spearman, 2), showarrow: false, font: { size: 11, color: Math.abs(found(a, b).spearman) > 0.62 ? "#ffffff" : "#1b1c1e" } }])));
  const place = element("div", { class: "plot", id: "agreement", style: { maxWidth: "56rem", height: `${130 + (innerWidth < 700 ? 22 : 36) * labels.length}px` } });
  drawLater.push(() => {
    Plotly.newPlot(place, [{ type: "heatmap", z: labels.map((a) => labels.map((b) => (a === b ? null : found(a, b)?.spearman ?? null))), zmin: -1, zmax: 1, zmid: 0,
      colorscale: [[0, "#a6440a"], [0.25, "#e8a06a"], [0.5, "#f3f1ec"], [0.75, "#6fa8d3"], [1, "#08519c"]], xgap: 2, ygap: 2, hoverongaps: false,
      customdata: labels.map((a) => labels.map((b) => { const row = found(a, b); return row ? `${plain(measureTitle(a))}<br>${plain(measureTitle(b))}<br>Spearman <b>${number(row.spearman)}</b> ${interval(row.spearman_low, row.spearman_high)}<br>${row.n} pairs of ${row.models} models${soundWords(row) && `<br>${soundWords(row)}`}` : ""; })),
      hovertemplate: "%{customdata}<extra></extra>", colorbar: { thickness: 9, outlinewidth: 0, len: 0.6, tickfont: { size: 10 } } }],
      layout({ margin: { l: 8, r: 8, t: 8, b: 8 }, annotations: written, xaxis: { tickvals: titles.map((_, at) => at), ticktext: titles, tickfont: { size: innerWidth < 700 ? 9 : 11 }, showgrid: false, zeroline: false, ticks: "", showline: false, tickangle: innerWidth < 700 ? -90 : -40, fixedrange: true },
        yaxis: { tickvals: titles.map((_, at) => at), ticktext: titles, tickfont: { size: innerWidth < 700 ? 9 : 11 }, showgrid: false, zeroline: false, ticks: "", showline: false, autorange: "reversed", fixedrange: true } }), PLAIN);
    place.on("plotly_click", (event) => { const [i, j] = event.points[0].pointIndex; if (i !== j) choose({ x: labels[j], y: labels[i], kind }); });
  });
  keys.cycle = { p: ["kind", kinds, kind] };
  return [element("h2", {}, "Do measures agree?"), element("p", { class: "lead" }, "Rank correlation (Spearman) between what two measures say of all pairs of models, both directions averaged and distances turned round: 1 is the same order. Click a cell to compare two." +
      withoutCopies()),
    element("div", { class: "controls" }, picker("probe", kinds, kind, "kind", inWords)), place, compareMeasures(x, y, kind, found(x, y)), measureList()];
}

// The same of what says something of similarity, where that is not all: models that know nothing are far from all others by every measure.
function soundWords(row) {
  if (row.n_sound === undefined || row.n_sound === row.n) return "";
  const which = "without models at chance and failed inversions";
  return Number.isFinite(row.spearman_sound) ? `${number(row.spearman_sound)} ${interval(row.spearman_sound_low, row.spearman_sound_high)} ${which}, ${row.n_sound} pairs of ${row.models_sound} models.` : `Nothing is left to compare ${which}.`;
}

// Ranks from 1 for the most alike pair; ties share the mean of their ranks.
function meanRanks(values, distance) {
  const order = counted(values.length).sort((i, j) => (distance ? 1 : -1) * (values[i] - values[j])), ranks = new Float64Array(values.length);
  for (let from = 0; from < order.length;) {
    let to = from;
    while (to + 1 < order.length && values[order[to + 1]] === values[order[from]]) to++;
    for (let at = from; at <= to; at++) ranks[order[at]] = (from + to) / 2 + 1;
    from = to + 1;
  }
  return ranks;
}

function compareMeasures(x, y, kind, row) {
  const mean = (measure, a, b) => {
    const known = [cell(measure, kind, a, b), isDirected(kind) ? cell(measure, kind, b, a) : null].filter((each) => each && Number.isFinite(each.value)).map((each) => each.value);
    return known.length ? known.reduce((p, q) => p + q, 0) / known.length : NaN;
  };
  const pairs = [], distinct = NAMES.filter((name) => !COPIES.includes(name));
  for (const [i, a] of distinct.entries()) for (const b of distinct.slice(i + 1)) {
    const values = [x, y].map((measure) => mean(measure, a, b));
    if (values.every(Number.isFinite)) pairs.push({ a, b, values });
  }
  const ranks = [x, y].map((measure, side) => meanRanks(pairs.map((each) => each.values[side]), isDistance(measure)));
  pairs.forEach((each, place) => Object.assign(each, { ranks: ranks.map((list) => list[place]), apart: Math.abs(ranks[0][place] - ranks[1][place]) }));
  const most = [...pairs].sort((p, q) => q.apart - p.apart).slice(0, 10), top = new Set(most);
  const rest = pairs.filter((each) => !top.has(each));
  const dots = (list, colour, size) => ({ type: "scatter", mode: "markers", x: list.map((each) => each.values[0]), y: list.map((each) => each.values[1]), customdata: list.map((each) => [each.a, each.b]),
    text: list.map((each) => `${plain(marked(each.a))}<br>${plain(marked(each.b))}`), hovertemplate: "<b>%{text}</b><br>%{x:.3f}, %{y:.3f}<extra></extra>", marker: { color: colour, size, opacity: 0.75 } });
  const scatter = plot([dots(rest, COLOURS[0], pairs.length > 500 ? 4 : 6), dots(most, css("--mark"), 9)],
    { xaxis: { title: { text: plain(measureTitle(x)) } }, yaxis: { title: { text: plain(measureTitle(y)) } }, margin: { l: 60, r: 12, t: 8, b: 50 } }, 400);
  drawLater.push(() => scatter.on("plotly_click", (event) => { const [a, b] = event.points[0].customdata; go("pair", { a, b, kind }); }));
  const said = row ? `Spearman ${number(row.spearman)} ${interval(row.spearman_low, row.spearman_high)} over ${row.n} pairs, models resampled. ${soundWords(row)}` : "";
  return block(`${measureTitle(x)} and ${measureTitle(y)}`, null, element("p", { class: "note", id: "agreement-value", "data-value": row?.spearman, "data-pairs": pairs.length }, said),
    element("div", { class: "halves" }, scatter, element("div", {}, element("p", { class: "panel-title" }, "They disagree most on (in orange):"),
      plainTable([{ text: "pair" }, { text: `rank by ${shortened(measureTitle(x), 16)}`, number: true }, { text: `by ${shortened(measureTitle(y), 16)}`, number: true }],
        most.map((each) => [pairLink(each.a, each.b, { kind }), number(each.ranks[0]), number(each.ranks[1])])))));
}

function measureList() {
  const range = ({ low, high }) => (Number.isNaN(low) ? "" : `${number(low)} to ${number(high)}`);
  const wrapped = (text) => element("span", { style: { display: "inline-block", width: "24rem", whiteSpace: "normal" } }, text);
  return block("What they are", null, plainTable([{ text: "measure" }, { text: "direction" }, { text: "range" }, { text: "nothing in common" }, { text: "unit" }, { text: "compares" }, { text: "source" }],
    MEASURES.map((each) => [link(measureTitle(each.measure), "heatmap", { measure: each.measure }), each.direction, range(each), wrapped(each.unrelated ?? ""), each.unit === "1" ? "" : each.unit, each.needs ?? "", each.source ?? ""])));
}
