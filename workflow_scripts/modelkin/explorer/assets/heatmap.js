// Every pair of models by one measure, on one kind of probe or on all side by side.
const ALL = "all";
// Names that can be read along a side, and models from which lines between cells would hide them.
const MOST_NAMES = 110, NO_LINES = 110;
const ORDERINGS = ["level", "cluster", "dendrogram", "name", "config"];

function ordered(measure, kind, order) {
  const names = [...NAMES];
  const by = (key) => names.sort((a, b) => (key(a) > key(b) ? 1 : key(a) < key(b) ? -1 : PLACE.get(a) - PLACE.get(b)));
  if (order === "level") {
    const models = names.map((name) => MODELS[PLACE.get(name)]), threats = ["", ...new Set(models.map((model) => model.norm ?? ""))];
    const threat = (model) => (model.eps > 0 ? threats.indexOf(model.norm ?? "") : 0);
    return models.sort((a, b) => threat(a) - threat(b) || (a.eps ?? 0) - (b.eps ?? 0) || PLACE.get(a.name) - PLACE.get(b.name)).map((model) => model.name);
  }
  if (order === "name") return names.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  if (order === "cluster") {
    const cluster = new Map(rowsOf("clusters", { measure, kind }).map((row) => [row.model, row.cluster]));
    return by((name) => cluster.get(name) ?? Infinity);
  }
  if (order === "dendrogram") {
    const leaves = ORDERS.get(`${measure}\n${kind}`) ?? [];
    return [...leaves, ...names.filter((name) => !leaves.includes(name))];
  }
  return names;
}

// Where the group ends by which the models are ordered.
function boundaries(names, measure, kind, order) {
  const cluster = order === "cluster" ? new Map(rowsOf("clusters", { measure, kind }).map((row) => [row.model, row.cluster])) : null;
  const group = order === "level" ? (name) => level(MODELS[PLACE.get(name)]) : cluster ? (name) => cluster.get(name) : () => 0;
  return names.flatMap((name, place) => (place && group(name) !== group(names[place - 1]) ? [place - 0.5] : []));
}

function hoverText(measure, kind, a, b) {
  const here = cell(measure, kind, a, b);
  const who = isDirected(kind) ? `images made for <b>${plain(marked(a))}</b><br>seen by <b>${plain(marked(b))}</b>`
    : `<b>${plain(marked(a))}</b><br><b>${plain(marked(b))}</b>`;
  if (!here || !Number.isFinite(here.value)) return `${who}<br>no value`;
  const lines = [`${plain(measureTitle(measure))} <b>${number(here.value)}</b> ${interval(here.low, here.high)}`];
  if (Number.isFinite(here.chance)) lines.push(`chance ${number(here.chance)}`);
  if (Number.isFinite(here.n) && kind !== "imported") lines.push(`n = ${here.n}`);
  if (Number.isFinite(here.attack)) lines.push(`attack succeeds on ${percent(here.attack)}`);
  return [who, ...lines].join("<br>");
}

// The scale is that of pairs of different models: the diagonal would take all of it.
function heatmapPlot(measure, kind, names, { room, boundary = [], onhover, onclick, chosen, range, quiet }) {
  const grid = names.map((a) => names.map((b) => {
    const value = cell(measure, kind, a, b)?.value;
    return Number.isFinite(value) ? value : null;
  }));
  const apart = grid.flatMap((row, i) => row.filter((value, j) => value !== null && i !== j));
  const [low, high] = range ?? valueRange(measure, apart);
  const { size, label, width, height } = heatmapSize(room - (isDirected(kind) && !quiet ? 18 : 0), names), axisTitle = isDirected(kind) && !quiet ? 18 : 0;
  const gap = names.length > NO_LINES ? 0 : names.length > 40 ? 0.5 : 1;
  const trace = { type: "heatmap", z: grid, zmin: low, zmax: high > low ? high : low + 1e-9, colorscale: "Viridis",
    reversescale: isDistance(measure), xgap: gap, ygap: gap, hoverongaps: true,
    text: names.map((a) => names.map((b) => hoverText(measure, kind, a, b))), hovertemplate: "%{text}<extra></extra>",
    colorbar: { thickness: 9, outlinewidth: 0, len: 0.7, x: 1.01, xpad: 4, tickfont: { size: 10 }, nticks: 6,
      title: { text: isDistance(measure) ? "distance" : "", side: "right", font: { size: 10 } } } };
  const every = Math.ceil(names.length / MOST_NAMES), written = names.map((name, place) => (place % every ? "" : plain(shortened(marked(name)))));
  const ticks = { tickmode: "array", tickvals: names.map((_, place) => place), ticktext: written,
    tickfont: { size }, showgrid: false, showline: false, zeroline: false, ticks: "", fixedrange: true, automargin: false };
  const line = { line: { color: css("--paper"), width: 2.5 }, type: "line" }, end = names.length - 0.5;
  const shapes = boundary.flatMap((at) => [{ ...line, x0: at, x1: at, y0: -0.5, y1: end }, { ...line, y0: at, y1: at, x0: -0.5, x1: end }]);
  const frame = (i, j) => ({ type: "rect", x0: j - 0.5, x1: j + 0.5, y0: i - 0.5, y1: i + 0.5, line: { color: css("--mark"), width: 2.5 } });
  const directed = isDirected(kind) && !quiet;
  const place = element("div", { class: "plot heatmap", style: { width: `${width + axisTitle}px`, height: `${height + axisTitle}px` }, "data-measure": measure, "data-kind": kind });
  place.framed = (a, b) => {
    const i = names.indexOf(a), j = names.indexOf(b);
    Plotly.relayout(place, { shapes: i < 0 || j < 0 ? shapes : [...shapes, frame(i, j)] });
  };
  place.crossed = (name) => {
    const at = names.indexOf(name), band = { type: "rect", line: { color: css("--mark"), width: 1.5 } };
    Plotly.relayout(place, { shapes: at < 0 ? shapes : [...shapes, { ...band, x0: at - 0.5, x1: at + 0.5, y0: -0.5, y1: end },
      { ...band, y0: at - 0.5, y1: at + 0.5, x0: -0.5, x1: end }] });
  };
  drawLater.push(() => {
    Plotly.newPlot(place, [trace], layout({ margin: { l: label + axisTitle, r: SCALE, t: 2, b: label + axisTitle }, shapes, plot_bgcolor: css("--empty"),
      xaxis: { ...ticks, tickangle: -90, title: { text: directed ? "seen by" : "", standoff: 2, font: { size: 11 } } },
      yaxis: { ...ticks, autorange: "reversed", title: { text: directed ? "images made for" : "", standoff: 2, font: { size: 11 } } } }), { ...PLAIN, responsive: false });
    if (chosen) place.framed(...chosen);
    place.on("plotly_hover", (event) => onhover?.(names[event.points[0].pointIndex[0]], names[event.points[0].pointIndex[1]]));
    place.on("plotly_click", (event) => onclick?.(names[event.points[0].pointIndex[0]], names[event.points[0].pointIndex[1]]));
  });
  return place;
}

// Square cells as large as the room allows, names beside them, and room for the scale.
const SCALE = 62;
function heatmapSize(room, names) {
  const longest = Math.max(...names.map((name) => Math.min(24, marked(name).length)));
  for (const size of [11, 10, 9, 8, 7, 6, 5]) {
    const label = Math.min(150, 14 + size * 0.62 * longest);
    const cells = Math.max(80, Math.min(room - label - SCALE, Math.max(names.length * (names.length > 40 ? 10.5 : 14), innerHeight - 250 - label), names.length * 72));
    if (cells / names.length >= size * 1.15 || size === 5) return { size, label, width: Math.round(label + cells + SCALE), height: Math.round(label + cells) };
  }
}

// That of the values, if there are enough to make one; else that of the measure.
function valueRange(measure, values) {
  const low = values.reduce((x, y) => Math.min(x, y), Infinity), high = values.reduce((x, y) => Math.max(x, y), -Infinity);
  if (values.length >= 6 && high > low) return [low, high];
  const known = MEASURE.get(measure) ?? {}, ends = [known.low, known.high];
  return [Math.min(Number.isFinite(ends[0]) ? ends[0] : 0, low), Math.max(Number.isFinite(ends[1]) ? ends[1] : 0, high, low + 1e-9)];
}

function pairAside(measure, kind, a, b) {
  const here = cell(measure, kind, a, b), inner = [];
  const other = isDirected(kind) && a !== b ? cell(measure, kind, b, a) : null;
  inner.push(element("h3", {}, a === b ? modelLink(a) : pairLink(a, b, { measure, kind })));
  if (!here || !Number.isFinite(here.value)) inner.push(element("p", { class: "empty" }, "No value."));
  else {
    inner.push(element("div", { class: "big", id: "pair-value", "data-value": here.value }, number(here.value)),
      element("p", { class: "note" }, `${measureTitle(measure)}, ${isDirected(kind) ? `on images made for ${a}` : kind === "imported" ? "imported" : `${inWords(kind)} images`}`));
    const list = ranking(measure, kind), rank = list.findIndex((row) => row.a === a && row.b === b || (!isDirected(kind) && row.a === b && row.b === a));
    inner.push(facts([["95 % interval", interval(here.low, here.high)], ["by chance", number(here.chance)],
      ["samples", kind === "imported" ? "" : number(here.n)],
      ["the other way", other ? `${number(other.value)} ${interval(other.low, other.high)}` : ""],
      ["attack succeeds on", percent(here.attack)], ["rank", rank >= 0 ? `${rank + 1} of ${list.length} pairs` : ""]]));
    if (a !== b) inner.push(sparkline(measure, kind, here, 260, 34));
    for (const name of new Set(isDirected(kind) ? [a] : [])) {
      if (flags.get(name)?.includes("*")) inner.push(element("p", { class: "warning-text" }, `Inversion failed for ${name}: this value says nothing.`));
    }
  }
  const copies = COPIES.filter((name) => a !== b && (name === a || name === b));
  if (copies.length) inner.push(element("p", { class: "note" }, `No rank: ${copies.map(marked).join(", ")} ${copies.length > 1 ? "are copies" : "is a copy"} of another model.`));
  if (a !== b) inner.push(element("p", {}, link("Images, measures and more of this pair \u2192", "pair", { a, b, measure, kind })));
  return inner;
}

// All pairs as faint ticks; this one as a dot with its interval; chance as a dashed line.
function sparkline(measure, kind, here, width, height) {
  const values = ranking(measure, kind).map((row) => row.value);
  const ends = [...values, here.low, here.high, here.chance, here.value].filter(Number.isFinite);
  const low = ends.reduce((x, y) => Math.min(x, y)), high = ends.reduce((x, y) => Math.max(x, y));
  const x = (value) => (4 + ((width - 8) * (value - low)) / (high - low || 1)).toFixed(1);
  const middle = height / 2;
  return element("svg", { class: "spark", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label":
    `${number(here.value)} among ${values.length} pairs from ${number(low)} to ${number(high)}` },
    element("path", { d: values.map((value) => `M${x(value)} ${middle - 5}v10`).join(""), stroke: css("--faint"), "stroke-opacity": Math.max(0.12, Math.min(0.5, 40 / values.length)), fill: "none" }),
    Number.isFinite(here.chance) ? element("line", { x1: x(here.chance), x2: x(here.chance), y1: 2, y2: height - 2, stroke: css("--soft"), "stroke-dasharray": "2 2" }) : null,
    Number.isFinite(here.low) && Number.isFinite(here.high) ? element("line", { x1: x(here.low), x2: x(here.high), y1: middle, y2: middle, stroke: css("--mark"), "stroke-width": 2 }) : null,
    element("circle", { cx: x(here.value), cy: middle, r: 4, fill: css("--mark") }));
}

function viewHeatmap(state) {
  const measure = chosenMeasure(state), kinds = kindsOf(measure), kind = chosenKind(state, measure, kinds.length > 1 ? [ALL] : []);
  const shown = kind === ALL ? kinds : [kind];
  const orders = ORDERINGS.filter((each) => each !== "cluster" || table("clusters"));
  const order = orders.includes(state.order) ? state.order : "level";
  const whole = roomOfPage(), room = innerWidth <= 992 ? whole : shown.length > 1 ? Math.max(420, (whole - 352) / 2 - 12) : whole - 352;
  const first = ranking(measure, shown[0])[0] ?? { a: NAMES[0], b: NAMES[0] };
  const chosen = PLACE.has(state.a) && PLACE.has(state.b) ? [state.a, state.b] : [first.a, first.b];
  const aside = element("aside", { "aria-live": "polite" });
  const plots = [];
  const look = (a, b, where) => aside.replaceChildren(...pairAside(measure, where, a, b));
  const values = shown.flatMap((each) => ranking(measure, each).map((row) => row.value));
  const range = state.scale === "shared" && shown.length > 1 && values.length ? [Math.min(...values), Math.max(...values)] : undefined;
  const panels = shown.map((each) => {
    const names = ordered(measure, each, order);
    const made = heatmapPlot(measure, each, names, { room, boundary: boundaries(names, measure, each, order),
      chosen, range, onhover: (a, b) => look(a, b, each), onclick: (a, b) => (a === b ? go("model", { name: a }) : go("pair", { a, b, measure, kind: each })) });
    made.names = names;
    plots.push(made);
    return element("div", {}, element("p", { class: "panel-title" }, panelTitle(measure, each)), made);
  });
  look(...chosen, shown[0]);
  keys.arrow = (dx, dy) => {
    const names = plots[0].names, at = [names.indexOf(readAddress().state.a ?? chosen[0]), names.indexOf(readAddress().state.b ?? chosen[1])];
    const next = [(at[0] + dy + names.length) % names.length, (at[1] + dx + names.length) % names.length].map((place) => names[place]);
    history.replaceState(null, "", address("heatmap", { ...readAddress().state, measure, kind, order, a: next[0], b: next[1] }));
    plots.forEach((each) => each.framed(...next));
    look(...next, shown[0]);
  };
  keys.enter = () => { const now = readAddress().state; go("pair", { a: now.a ?? chosen[0], b: now.b ?? chosen[1], measure, kind: shown[0] }); };
  keys.cycle = { m: ["measure", MEASURES.map((each) => each.measure).filter((label) => kindsOf(label).length), measure],
    p: ["kind", [...kinds, ...(kinds.length > 1 ? [ALL] : [])], kind], o: ["order", orders, order] };
  return [element("h2", {}, "Every pair"), element("p", { class: "lead" }, "Point at a cell for its numbers, click it for the pair. ", markNote()),
    element("div", { class: "controls" }, measurePicker(measure),
      picker("probe", [...kinds, ...(kinds.length > 1 ? [ALL] : [])], kind, "kind", (each) => (each === ALL ? "all, side by side" : inWords(each))),
      picker("order", orders, order, "order"),
      shown.length > 1 ? picker("colour scale", ["own", "shared"], state.scale ?? "own", "scale", (each) => (each === "own" ? "each panel its own" : "one for all")) : null),
    element("div", { class: "split" }, element("div", { class: shown.length > 1 ? "panels" : "" }, panels), aside)];
}

function roomOfPage() {
  const main = document.querySelector("main"), style = getComputedStyle(main);
  return main.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
}

function panelTitle(measure, kind) {
  const rows = ranking(measure, kind).map((row) => cell(measure, kind, row.a, row.b));
  const counts = [...new Set(rows.map((row) => row.n))].filter(Number.isFinite).sort((x, y) => x - y);
  const chance = rows.map((row) => row.chance).filter(Number.isFinite);
  const parts = [kind === "imported" ? "imported" : `${inWords(kind)} images`];
  if (counts.length && kind !== "imported") parts.push(counts.length > 1 ? `n = ${counts[0]} to ${counts.at(-1)}` : `n = ${counts[0]}`);
  if (chance.length) parts.push(`chance ${number(chance.reduce((x, y) => x + y, 0) / chance.length)}`);
  return parts.join(" \u00b7 ");
}

function markNote() {
  const failed = [...flags.values()].some((flag) => flag.includes("*")), chance = [...flags.values()].some((flag) => flag.includes("\u2020"));
  return [failed ? "* inversion failed: its rows on inverted images say nothing. " : "", chance ? "\u2020 accuracy at chance." : ""].join("");
}
