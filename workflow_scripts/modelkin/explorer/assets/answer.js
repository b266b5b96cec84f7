// The figure beside the answer: how alike the models of each level are on each kind of probe.
function answerFigure() {
  return rowsOf("level_means").some((row) => row.measure === leadingMeasure() && row.basis === "models resampled") ? levelsFigure() : pairsFigure();
}

// Of few models every pair with its own interval, which is over images.
function pairsFigure() {
  const measure = leadingMeasure(), kinds = kindsOf(measure);
  const found = kinds.map((kind) => ranking(measure, kind).map((row) => ({ ...row, kind, ...cell(measure, kind, row.a, row.b) })));
  if (!found.some((each) => each.length)) return null;
  const doubted = (row) => isDirected(row.kind) && flags.get(row.a).includes("*");
  const traces = found.map((rows, order) => ({ x: rows.map((_, place) => order + (place - (rows.length - 1) / 2) * Math.min(0.16, 0.7 / rows.length)), y: rows.map((row) => row.value), mode: "markers", name: inWords(kinds[order]),
    marker: { size: 9, color: COLOURS[order], symbol: rows.map((row) => SYMBOLS[order] + (doubted(row) ? "-open" : "")) }, hovertemplate: rows.map((row) => `${hoverText(measure, row.kind, row.a, row.b)}<extra></extra>`),
    error_y: { type: "data", symmetric: false, array: rows.map((row) => row.high - row.value || 0), arrayminus: rows.map((row) => row.value - row.low || 0), color: COLOURS[order], thickness: 1.6, width: 4 } }));
  const chance = found.flatMap((rows, order) => { const known = rows.map((row) => row.chance).filter(Number.isFinite); const mean = known.reduce((x, y) => x + y, 0) / known.length;
    return known.length ? [{ type: "line", x0: order - 0.4, x1: order + 0.4, y0: mean, y1: mean, line: { dash: "dot", width: 1, color: css("--faint") } }] : []; });
  const values = found.flat().flatMap((row) => [row.value, row.low, row.high]).filter(Number.isFinite);
  const made = plot(traces, { xaxis: { tickvals: kinds.map((_, place) => place), ticktext: kinds.map((kind) => plain(inWords(kind))), range: [-0.5, kinds.length - 0.5], showgrid: false, zeroline: false },
    yaxis: { title: { text: plain(measureTitle(measure)) }, range: isDistance(measure) ? undefined : [Math.min(0, ...values) - 0.02, Math.max(1, ...values) + 0.02], zeroline: false }, margin: { l: 46, r: 8, t: 8, b: 34 }, shapes: chance }, 300);
  return element("figure", {}, made, element("figcaption", { class: "note" }, `${measureTitle(measure)} of every pair; on inverted images each direction is a point. Bars: 95 % interval over images.${withoutCopies()}${chance.length ? " Dotted lines: chance." : ""}${found.flat().some(doubted) ? " Hollow: inversion failed, which says nothing." : ""}`));
}

function levelsFigure() {
  const rows = rowsOf("level_means"), measure = leadingMeasure();
  const own = rows.filter((row) => row.measure === measure), levels = [...new Set(own.map((row) => row.level))];
  if (own.length < 2) return null;
  const kinds = KINDS.filter((kind) => own.some((row) => row.kind === kind)), chance = own.map((row) => row.chance).filter(Number.isFinite);
  const threats = ["", ...new Set(MODELS.map((model) => model.norm ?? ""))], radius = (name) => (name === "standard" ? [0, 0] : [threats.indexOf(name.split(" ")[0]), Number(name.split(" ").at(-1))]);
  levels.sort((x, y) => radius(x)[0] - radius(y)[0] || radius(x)[1] - radius(y)[1]);
  const traces = kinds.map((kind, order) => {
    const found = levels.map((level) => own.find((row) => row.kind === kind && row.level === level));
    const shift = (order - (kinds.length - 1) / 2) * 0.12;
    return { x: found.map((_, place) => place + shift), y: found.map((row) => row?.mean ?? null), name: inWords(kind), mode: "markers+lines", line: { color: COLOURS[order], width: 1, dash: "dot" },
      marker: { size: 9, color: COLOURS[order], symbol: SYMBOLS[order] },
      error_y: { type: "data", symmetric: false, array: found.map((row) => (row ? row.high - row.mean : 0)), arrayminus: found.map((row) => (row ? row.mean - row.low : 0)), color: COLOURS[order], thickness: 1.6, width: 4 },
      text: found.map((row) => (row ? `${plain(row.level)}, ${inWords(kind)}: <b>${number(row.mean)}</b> ${interval(row.low, row.high)}<br>${row.pairs} pairs of ${row.models} models, ${row.basis}` : "")), hovertemplate: "%{text}<extra></extra>" };
  });
  const ranged = own.some((row) => row.basis !== "models resampled" && row.pairs > 1), alone = own.some((row) => row.pairs === 1);
  const note = [`Mean ${measureTitle(measure)} of all pairs of a level.`, ranged ? "Bars: 95 % interval with models resampled, or smallest and largest pair where models are too few." : "Bars: 95 % interval, models resampled.",
    alone ? "A point without a bar is a single pair." : "", chance.length ? "Dotted line: chance." : ""].filter(Boolean).join(" ");
  const mean = chance.reduce((x, y) => x + y, 0) / (chance.length || 1), values = own.flatMap((row) => [row.low, row.high]);
  const made = plot(traces, { xaxis: { tickvals: levels.map((_, place) => place), ticktext: levels.map((name) => plain(name)), range: [-0.5, levels.length - 0.5], showgrid: false, zeroline: false, title: { text: levels.length > 1 ? "robustness level" : "" } },
    yaxis: { title: { text: plain(measureTitle(measure)) }, range: isDistance(measure) ? undefined : [Math.min(0, ...values) - 0.02, Math.max(1, ...values) + 0.02], zeroline: false }, showlegend: true, legend: { orientation: "h", y: 1.12, x: 0 }, margin: { l: 46, r: 8, t: 24, b: 44 },
    shapes: chance.length ? [{ type: "line", x0: -0.5, x1: levels.length - 0.5, y0: mean, y1: mean, line: { dash: "dot", width: 1, color: css("--faint") } }] : [] }, 320);
  return element("figure", {}, made, element("figcaption", { class: "note" }, note));
}

// As the sentences choose it: the study's first measure on inverted images.
function leadingMeasure() {
  return (MEASURES.find((each) => hasSquare(each.measure, "inverted")) ?? MEASURES.find((each) => kindsOf(each.measure).length)).measure;
}

function viewAnswer() {
  const place = document.getElementById("answer-figure");
  place.querySelectorAll(".js-plotly-plot").forEach((each) => Plotly.purge(each));
  place.replaceChildren(...[answerFigure()].filter(Boolean));
  return [];
}
