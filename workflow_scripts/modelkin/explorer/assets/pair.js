// Two models: what was made for them, where they differ, and how alike they are by everything that was measured.
const DIFFERENCES = [["structure", "architecture"], ["regime", "training regime"], ["hyper_parameters", "hyper-parameters"]];

function relation(a, b) {
  if (b.same_weights_as === a.name || a.same_weights_as === b.name || (a.weights && a.weights === b.weights)) return "They have the very same weights";
  if (a.source === "none" || b.source === "none") return "How they differ is not known";
  const found = DIFFERENCES.filter(([column]) => column in a && a[column] !== b[column]).map(([, words]) => words);
  return `They differ in ${found.length ? found.join(" and ") : "their initialisation only"}`;
}

function viewPair(state) {
  if (COUNT < 2) return [element("h2", {}, "A pair"), element("p", { class: "empty" }, "There is only one model.")];
  const measure = chosenMeasure(state), kind = chosenKind(state, measure);
  const first = ranking(measure, kind)[0] ?? { a: NAMES[0], b: NAMES[1] };
  const a = PLACE.has(state.a) ? state.a : first.a;
  const b = PLACE.has(state.b) && state.b !== a ? state.b : first.b !== a ? first.b : NAMES.find((name) => name !== a);
  const [left, right] = [a, b].map((name) => MODELS[PLACE.get(name)]);
  keys.arrow = (dx, dy) => {
    const step = (name, by, other) => {
      let next = NAMES[(PLACE.get(name) + by + COUNT) % COUNT];
      if (next === other) next = NAMES[(PLACE.get(next) + by + COUNT) % COUNT];
      return next;
    };
    choose(dy ? { a: step(a, dy, b), b } : { a, b: step(b, dx, a) });
  };
  const levels = [left, right].map(level);
  const about = [relation(left, right), ...(levels[0] || levels[1] ? [levels[0] === levels[1] ? `both ${levels[0]}` : `${levels[0]} and ${levels[1]}`] : [])];
  return [element("h2", {}, modelLink(a), " and ", modelLink(b)), element("p", { class: "lead" }, `${about.join("; ")}. `, markNote()),
    element("div", { class: "controls" }, picker("first model", NAMES, a, "a", marked), picker("second model", NAMES, b, "b", marked),
      element("button", { type: "button", onclick: () => choose({ a: b, b: a }) }, "Swap")),
    pairImages(a, b), pairMeasures(a, b), ...pairMore(a, b), pairPredictions(a, b), pairAdversarial(a, b), pairEnsemble(a, b), pairComponents(a, b)];
}

function pairMeasures(a, b) {
  const rows = [];
  for (const { measure } of MEASURES) for (const kind of kindsOf(measure)) {
    for (const [from, to] of isDirected(kind) ? [[a, b], [b, a]] : [[a, b]]) {
      const here = cell(measure, kind, from, to);
      if (!here) continue;
      const list = ranking(measure, kind);
      const rank = list.findIndex((row) => (row.a === from && row.b === to) || (!isDirected(kind) && row.a === to && row.b === from));
      const doubted = isDirected(kind) && flags.get(from)?.includes("*");
      rows.push([link(measureTitle(measure), "heatmap", { measure, kind, a: from, b: to }), isDirected(kind) ? `${inWords(kind)}, for ${shortened(from, 18)}` : inWords(kind),
        element("span", { "data-measure": measure, "data-kind": kind, "data-source": from, "data-value": here.value, class: doubted ? "warning-text" : null,
          title: doubted ? "its inversion failed: this says nothing" : null }, number(here.value) || "undefined"),
        interval(here.low, here.high), number(here.chance), rank >= 0 ? `${rank + 1} / ${list.length}` : "", Number.isFinite(here.value) ? sparkline(measure, kind, here, 200, 22) : ""]);
    }
  }
  return block("By every measure", `Ticks are all pairs of the study, the dot is this one with its 95 % interval, the dashed line is chance; rank 1 is the most alike.${withoutCopies()}`,
    plainTable([{ text: "measure" }, { text: "images" }, { text: "value", number: true }, { text: "95 %", number: true }, { text: "chance", number: true }, { text: "rank", number: true }, { text: "among all pairs" }], rows));
}

const counted = (many) => [...Array(many).keys()];
const captions = (name, key, written = number) => {
  const values = aboutStrip(name)[key];
  return values ? (place) => written(values[place]) : null;
};

function pairImages(a, b) {
  const own = [a, b].filter((name) => hasStrip(`inverted/${name}`));
  if (!own.length || !hasStrip("target")) return null;
  return block("Their inverted images", "The seed was changed until the model's representation was that of the target. Where you see the target, the model uses what you use. Below each image, its relative loss: 0 is perfect.",
    gallery([["seed", "seed", captions("seed", "label", String)], ["target", "target", captions("target", "label", String)],
      ...own.map((name) => [marked(name), `inverted/${name}`, captions(`inverted/${name}`, "loss")])], counted(DATA.pictures.strips.target.n)));
}

function pairAdversarial(a, b) {
  const found = [...new Set(Object.keys(DATA.pictures.strips).filter((name) => name.startsWith("adversarial")).map((name) => name.split("/")[0]))];
  const rows = found.flatMap((kind) => [a, b].filter((name) => hasStrip(`${kind}/${name}`)).map((name) =>
    [found.length > 1 ? `${inWords(kind)}, ${marked(name)}` : marked(name), `${kind}/${name}`, captions(`${kind}/${name}`, "outcome", String)]));
  if (!rows.length) return null;
  return block("Their adversarial images", "Natural images, changed until the model errs; below each, whether it is fooled, holds, or was wrong before.",
    gallery([["natural", "attacked", captions("attacked", "label", String)], ...rows], counted(DATA.pictures.strips.attacked?.n ?? DATA.pictures.strips[rows[0][1]].n)));
}

const answered = new Map();
function predictionsOf(name) {
  if (!answered.has(name)) answered.set(name, Object.hasOwn(DATA.predictions.by_model, name) ? numbersOf(DATA.predictions.by_model[name], "int32") : null);
  return answered.get(name);
}

function pairPredictions(a, b) {
  if (!DATA.predictions) return null;
  const labels = (answered.labels ??= numbersOf(DATA.predictions.labels, "int32"));
  const [x, y] = [a, b].map(predictionsOf), named = (code) => DATA.predictions.classes[code] ?? String(code);
  if (!x || !y) return null;
  const differ = counted(labels.length).filter((row) => x[row] !== y[row]);
  const confusions = new Map();
  for (const row of differ) {
    const key = `${labels[row]}\n${x[row]}\n${y[row]}`;
    confusions.set(key, (confusions.get(key) ?? 0) + 1);
  }
  const most = [...confusions].sort((p, q) => q[1] - p[1]).slice(0, 6).map(([key, many]) => [...key.split("\n").map((code) => named(Number(code))), many]);
  const right = (answers) => differ.filter((row) => answers[row] === labels[row]).length;
  const places = DATA.predictions.shown.map((row, place) => [row, place]).filter(([row]) => x[row] !== y[row]).slice(0, 12).map(([, place]) => place);
  const rowOf = (place) => DATA.predictions.shown[place];
  const said = (answers) => (place) => named(answers[rowOf(place)]);
  return block("Where their answers differ", null, element("p", { class: "note", id: "disagreement", "data-count": differ.length },
    differ.length ? `They give different classes to ${differ.length} of ${labels.length} natural images (${percent(differ.length / labels.length)}): there ${a} is right on ${right(x)}, ${b} on ${right(y)}.`
      : `They give the same class to all ${labels.length} natural images.`),
    places.length && hasStrip("natural") ? element("div", { class: "gallery" }, element("table", {},
      element("tr", {}, element("th", {}, "image"), places.map((place) => element("td", {}, tile("natural", place)))),
      element("tr", {}, element("th", {}, "label"), places.map((place) => element("td", {}, shortened(said(labels)(place), 12)))),
      ...[[a, x], [b, y]].map(([name, answers]) => element("tr", {}, element("th", { title: name }, marked(name)), places.map((place) =>
        element("td", { class: answers[rowOf(place)] === labels[rowOf(place)] ? null : "warning-text" }, shortened(said(answers)(place), 12))))))) : null,
    most.length ? plainTable([{ text: "label" }, { text: shortened(a) }, { text: shortened(b) }, { text: "images", number: true }], most) : null);
}

function pairEnsemble(a, b) {
  const row = [...rowsOf("ensemble_pairs", { model_a: a, model_b: b }), ...rowsOf("ensemble_pairs", { model_a: b, model_b: a })][0];
  if (!row) return null;
  const gain = Math.min(row.error_a, row.error_b) - row.error;
  return block("As an ensemble", "Their logits averaged, on the natural probe. These are single values without an interval: which ensemble to choose is said in the answer.",
    facts([[`error of ${row.model_a}`, percent(row.error_a)], [`error of ${row.model_b}`, percent(row.error_b)], ["error of both", percent(row.error)],
      ["fewer errors than the better one", `${number(100 * gain, 2)} percentage points`], ["error reduction rate", number(row.error_reduction_rate)], ["both wrong", percent(row.all_wrong)]]));
}

function pairComponents(a, b) {
  const [x, y] = [a, b].map((model) => rowsOf("components", { model })[0]);
  if (!x || !y) return null;
  const differing = Object.keys(x).filter((column) => column !== "model" && String(x[column]) !== String(y[column]));
  return block("Components that differ", null, differing.length
    ? plainTable([{ text: "component" }, { text: shortened(a) }, { text: shortened(b) }], differing.map((column) => [column.replaceAll("_", " "), String(x[column] ?? ""), String(y[column] ?? "")]))
    : element("p", { class: "empty" }, "None of those that were read off the networks."));
}

// Layer maps and stitching curves, in studies that have them: tables of this pair with a layer in each row.
function pairMore(a, b) {
  return [layerMaps(a, b), stitchingCurves(a, b)];
}

const THIRDS = [["same_layer", "same layer, whole depth"], ["same_layer_first", "same layer, first third"], ["same_layer_middle", "middle third"], ["same_layer_last", "last third"], ["last_layer", "last layer"]];

// The layer maps of two models, or of one with itself: one for each kind of images.
function layerMaps(a, b) {
  const rows = [[a, b], ...(a === b ? [] : [[b, a]])].flatMap(([model_a, model_b]) => rowsOf("layer_maps", { model_a, model_b })).filter((row) => Number.isNaN(row.snapshot ?? NaN));
  if (!rows.length) return null;
  const groups = new Map();
  for (const row of rows) {
    const key = `${row.kind_a} images${row.kind_a === row.kind ? "" : ` against ${row.kind} ones`}${row.kind.startsWith("adversarial") ? `, made for ${row.source}` : ""}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const room = innerWidth > 992 ? Math.min(520, (roomOfPage() - 24) / 2) : roomOfPage();
  return block(a === b ? "Layer by layer" : "Their layers", "Linear CKA of every layer with every other, from the first layer at the lower left to the last. Point at a cell for its value, the same by chance, and that of networks with random weights.",
    element("div", { class: "panels", id: "layer-maps" }, [...groups].map(([title, own]) => element("div", {}, element("p", { class: "panel-title" }, title), layerMap(own, room)))), layerSummary(rows[0].model_a, rows[0].model_b));
}

function layerMap(rows, room) {
  const { model_a, model_b } = rows[0];
  const layersOf = (model, column) => { const known = rowsOf("layers", { model }).sort((x, y) => x.index - y.index).map((row) => row.layer), here = new Set(rows.map((row) => row[column]));
    return known.length ? known.filter((layer) => here.has(layer)) : [...here]; };
  const ys = layersOf(model_a, "layer_a"), xs = layersOf(model_b, "layer_b"), at = new Map(rows.map((row) => [`${row.layer_a}\n${row.layer_b}`, row]));
  const cellOf = (y, x) => at.get(`${y}\n${x}`) ?? (model_a === model_b ? at.get(`${x}\n${y}`) : undefined);
  const shown = (y, x) => { const row = cellOf(y, x); return row ? `${plain(y)}<br>${plain(x)}<br>CKA <b>${number(row.value)}</b> (standard error ${number(row.stderr)})<br>chance ${number(row.chance)}, random weights ${number(row.untrained) || "not known"}<br>n = ${row.n}` : ""; };
  const ticks = (layers) => ({ tickvals: [0, layers.length - 1], ticktext: ["first", "last"], showgrid: false, zeroline: false, showline: false, ticks: "", fixedrange: true });
  const made = plot([{ type: "heatmap", z: ys.map((y) => xs.map((x) => { const value = cellOf(y, x)?.value; return Number.isFinite(value) ? value : null; })), zmin: 0, zmax: 1, colorscale: "Viridis",
    text: ys.map((y) => xs.map((x) => shown(y, x))), hovertemplate: "%{text}<extra></extra>", colorbar: { thickness: 9, outlinewidth: 0, len: 0.7, tickfont: { size: 10 } } }],
    { plot_bgcolor: css("--empty"), xaxis: { ...ticks(xs), title: { text: plain(`layers of ${shortened(model_b)}`) } }, yaxis: { ...ticks(ys), title: { text: plain(`layers of ${shortened(model_a)}`) } }, margin: { l: 50, r: 50, t: 4, b: 44 } }, Math.min(room, 420));
  made.style.maxWidth = `${Math.min(room, 420) + 60}px`;
  return made;
}

function layerSummary(model_a, model_b) {
  const rows = rowsOf("layer_summary", { model_a, model_b }).filter((row) => THIRDS.some(([name]) => name === row.statistic) && model_a !== model_b);
  return rows.length ? plainTable([{ text: "CKA of the" }, { text: "images" }, { text: "value [95 %]", number: true }, { text: "random weights", number: true }], rows.map((row) =>
    [THIRDS.find(([name]) => name === row.statistic)[1], row.kind.startsWith("adversarial") ? `${inWords(row.kind)}, for ${row.source}` : row.kind, `${number(row.value)} ${interval(row.ci_low, row.ci_high)}`, number(row.untrained)])) : null;
}

// Accuracy of the models stitched together at each block, one panel for each direction.
function stitchingCurves(a, b) {
  const panels = [[a, b], [b, a]].map(([front, end]) => [front, end, rowsOf("stitching", { front, end })]).filter(([, , rows]) => rows.length);
  if (!panels.length) return null;
  return block("Stitched together", "Accuracy of the first blocks of one model, a trained stitch and the last blocks of the other. Bars are 95 % intervals over images; dashed lines are baselines.",
    element("div", { class: "panels", id: "stitching" }, panels.map(([front, end, rows]) => {
      const objectives = [...new Set(rows.map((row) => row.objective))], baselines = new Set(["chance", "whole front", "whole end", "random front", "random end", "linear probe"]);
      const traces = objectives.map((objective, order) => {
        const own = rows.filter((row) => row.objective === objective).sort((x, y) => x.front_depth - y.front_depth), colour = COLOURS[order % COLOURS.length], base = baselines.has(objective);
        return { x: own.map((row) => row.front_depth), y: own.map((row) => row.accuracy), name: plain(objective), mode: base ? "lines" : "lines+markers", line: { color: colour, width: base ? 1 : 2, dash: base ? "dash" : "solid" }, marker: { size: 6, symbol: SYMBOLS[order % SYMBOLS.length] },
          error_y: base ? undefined : { type: "data", symmetric: false, array: own.map((row) => row.accuracy_high - row.accuracy || 0), arrayminus: own.map((row) => row.accuracy - row.accuracy_low || 0), color: colour, thickness: 1.2, width: 3 } };
      });
      return element("div", {}, element("p", { class: "panel-title" }, `${front} in front, ${end} behind`), plot(traces, { showlegend: true, legend: { orientation: "h", y: -0.25 }, xaxis: { title: { text: "depth of the stitch in the front" }, range: [-0.03, 1.03] }, yaxis: { title: { text: "accuracy" }, rangemode: "tozero" } }, 340));
    })));
}
