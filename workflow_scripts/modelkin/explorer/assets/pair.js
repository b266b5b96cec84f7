// Two models: what was made for them, where they differ, and how alike they are by everything that was measured.
const DIFFERENCES = [["structure", "architecture"], ["regime", "training regime"], ["hyper_parameters", "hyper-parameters"]];

function relation(a, b) {
  if (b.same_weights_as === a.name || a.same_weights_as === b.name || (a.weights && a.weights === b.weights)) return "They have the very same weights";
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
  return block("By every measure", "Ticks are all pairs of the study, the dot is this one with its 95 % interval, the dashed line is chance; rank 1 is the most alike.",
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
  if (!answered.has(name)) answered.set(name, name in DATA.predictions.by_model ? numbersOf(DATA.predictions.by_model[name], "int32") : null);
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
  return [...layerMaps(a, b), ...stitchingCurves(a, b)];
}
function layerMaps() { return []; }
function stitchingCurves() { return []; }
