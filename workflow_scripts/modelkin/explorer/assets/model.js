// One model: what it is, how it came to be, who is near and far, and how its inversion went.
const CARD = ["architecture", "structure", "eps", "norm", "regime", "hyper_parameters", "source", "origin", "parameters", "multiply_adds", "size", "head", "width",
  "split_points", "clean_accuracy", "adversarial_accuracy", "autoattack_accuracy", "evaluated", "same_weights_as"];

function described(name, column) {
  const known = DATA.dictionary[name] ?? {};
  return Object.hasOwn(known, column) ? known[column] : ["", ""];
}

function viewModel(state) {
  const name = PLACE.has(state.name) ? state.name : NAMES[0], model = MODELS[PLACE.get(name)];
  keys.arrow = (dx, dy) => choose({ name: NAMES[(PLACE.get(name) + (dx || dy) + COUNT) % COUNT] });
  const doubts = [model.at_chance === true ? "Its accuracy is at chance: its similarities say nothing." : "",
    model.inversion_failed === true ? "Its inversion failed: a low similarity on its inverted images says nothing." : ""].filter(Boolean);
  return [element("h2", {}, marked(name)), element("p", { class: "lead" }, [level(model) ? `${level(model)} model` : "", model.architecture ? `of architecture ${model.architecture}` : ""].filter(Boolean).join(" ")),
    ...doubts.map((doubt) => element("p", { class: "warning-text" }, doubt)),
    element("div", { class: "controls" }, picker("model", NAMES, name, "name", marked)),
    element("div", { class: "halves" }, element("div", {}, modelCard(model), modelComponents(name)), element("div", {}, modelTraining(name))),
    modelNeighbours(name), modelInversion(model), layerMaps(name, name)];
}

function modelCard(model) {
  const shares = new Set(["clean_accuracy", "adversarial_accuracy", "autoattack_accuracy"]);
  return block("Card", null, element("div", { id: "card", "data-accuracy": model.clean_accuracy }, facts(CARD.filter((column) => column in model).map((column) => {
    const value = model[column], [unit, meaning] = described("models", column);
    const text = typeof value === "number" ? (shares.has(column) ? percent(value) : number(value) + (unit && unit !== "1" && !unit.startsWith("pixels in") && value === value ? ` ${unit}` : "")) : value ?? "";
    return [element("span", { title: meaning }, column.replaceAll("_", " ")), text];
  }))));
}

function modelComponents(name) {
  const row = rowsOf("components", { model: name })[0];
  return row ? block("Components", null, facts(Object.entries(row).filter(([column]) => column !== "model").map(([column, value]) => [column.replaceAll("_", " "), String(value ?? "")]))) : null;
}

function modelTraining(name) {
  const rows = rowsOf("training", { model: name });
  if (!rows.length) return null;
  const line = (column, title, colour, dash) => ({ x: rows.map((row) => row.epoch), y: rows.map((row) => row[column]), name: title, mode: "lines+markers", marker: { size: 4 }, line: { color: colour, dash, width: 2 } });
  const last = rows.at(-1);
  return block("Training", `Accuracy over ${rows.length} epochs: ${percent(last.test_accuracy)} on the test split at the end, ${percent(last.train_accuracy)} on what it was trained on.`,
    plot([line("test_accuracy", "test", COLOURS[0]), line("train_accuracy", "training", COLOURS[1], "dot")],
      { xaxis: { title: { text: "epoch" } }, yaxis: { title: { text: "accuracy" }, rangemode: "tozero" }, showlegend: true, legend: { orientation: "h", y: 1.12 }, margin: { l: 50, r: 12, t: 20, b: 44 } }, 260),
    plot([line("loss", "loss", COLOURS[3])], { xaxis: { title: { text: "epoch" } }, yaxis: { title: { text: "training loss, nats" }, rangemode: "tozero" } }, 200));
}

function modelNeighbours(name) {
  const original = MODELS[PLACE.get(name)].same_weights_as;
  if (original) return block("Nearest and farthest", null, element("p", { class: "note", id: "neighbours" }, "It has the very weights of ", modelLink(original), ", and the same neighbours."));
  const rows = [];
  for (const { measure } of MEASURES) for (const kind of kindsOf(measure)) {
    // On inverted images, those that were made for this model.
    const own = ranking(measure, kind).filter((row) => (isDirected(kind) ? row.a === name : row.a === name || row.b === name));
    if (!own.length) continue;
    const shown = (row) => {
      const other = row.a === name ? row.b : row.a, here = cell(measure, kind, row.a, row.b);
      return [pairOther(name, other), element("span", { "data-value": here.value }, `${number(here.value)} ${interval(here.low, here.high)}`)];
    };
    const near = shown(own[0]), far = shown(own.at(-1));
    rows.push([link(measureTitle(measure), "heatmap", { measure, kind }), inWords(kind), ...near, ...far]);
  }
  return block("Nearest and farthest", `On inverted images: of those that were made for this model, who sees them most as it does.${withoutCopies()}`, element("div", { id: "neighbours" },
    plainTable([{ text: "measure" }, { text: "images" }, { text: "nearest" }, { text: "value [95 %]", number: true }, { text: "farthest" }, { text: "value [95 %]", number: true }], rows)));
}
const pairOther = (name, other) => link(marked(other), "pair", { a: name, b: other });

function modelInversion(model) {
  if (!Number.isFinite(model.inversion_median_loss)) return null;
  const worst = `worst/${model.name}`, others = MODELS.map((each) => each.inversion_median_loss).filter(Number.isFinite).sort((x, y) => x - y);
  const spread = rowsOf("inversions", { model: model.name });
  return block("Inversion", null,
    plainTable([{ text: "images" }, { text: "median loss", number: true }, { text: "90th percentile", number: true }, { text: "steps", number: true }, { text: "distance from seed", number: true }, { text: "failed" }],
      spread.map((row) => [inWords(row.kind), element("span", { "data-value": row.median_loss }, number(row.median_loss)), number(row.loss_90), number(row.median_steps), number(row.median_distance), row.failed ? "yes" : "no"])),
    element("p", { class: "note" }, `Relative loss, 0 is perfect; rank ${others.indexOf(model.inversion_median_loss) + 1} of ${others.length} models.`),
    hasStrip(worst) ? [element("p", { class: "note" }, "Its worst images, with their targets and relative losses:"),
      gallery([["target", `worst_target/${model.name}`], ["inverted", worst, captions(worst, "loss")]], counted(DATA.pictures.strips[worst].n))] : null);
}
