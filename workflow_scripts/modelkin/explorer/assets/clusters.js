// Groups of models by one measure: an embedding beside the heatmap, members and what they have in common.
const FEWEST_GROUPED = 5;  // models; below, every clustering is as good as another

function viewClusters(state) {
  const clusters = table("clusters");
  const possible = clusters ? MEASURES.map((each) => each.measure).filter((label) => clusters.columns.measure.includes(label)) : [];
  if (!possible.length || COUNT - COPIES.length < FEWEST_GROUPED) {
    return [element("h2", {}, "Groups"), element("p", { class: "empty" }, `Nothing is said of groups: that takes ${FEWEST_GROUPED} models that have values.`)];
  }
  const measure = [state.measure, remembered.measure].find((label) => possible.includes(label)) ?? possible[0];
  const kinds = kindsOf(measure).filter((kind) => rowsOf("clusters", { measure, kind }).length);
  const kind = [state.kind, remembered.kind].find((each) => kinds.includes(each)) ?? kinds[0];
  Object.assign(remembered, { measure, kind });
  const all = rowsOf("clusters", { measure, kind });
  // Where clusterings of several numbers of clusters were computed, one is chosen.
  const numbers = "clusters" in clusters.columns ? [...new Set(all.map((row) => row.clusters))].sort((x, y) => x - y) : [];
  const stability = rowsOf("cluster_stability", { measure, kind });
  const wanted = numbers.length ? numbers.find((each) => each === Number(state.clusters)) ?? stability[0]?.clusters ?? numbers[0] : null;
  const rows = wanted === null ? all : all.filter((row) => row.clusters === wanted);
  const about = stability.find((row) => wanted === null || row.clusters === wanted);
  const places = state.places === "t-SNE" ? ["t_sne_x", "t_sne_y"] : ["x", "y"];
  const members = new Map();
  for (const row of rows) members.set(row.cluster, [...(members.get(row.cluster) ?? []), row.model]);
  const groups = [...members.keys()].sort((x, y) => x - y);
  const architectures = [...new Set(MODELS.map((model) => model.architecture ?? ""))];
  const names = ordered(measure, kind, "cluster").filter((name) => rows.some((row) => row.model === name));
  const width = innerWidth > 992 ? (roomOfPage() - 32) / 2 : roomOfPage(), height = Math.min(width, 480);
  const sides = labelSides(rows.map((row) => ({ x: row[places[0]], y: row[places[1]], text: shortened(marked(row.model), 18) })), width - 80, height - 80);
  const sideOf = new Map(rows.map((row, place) => [row.model, sides[place]]));
  const traces = groups.map((group, order) => {
    const own = rows.filter((row) => row.cluster === group);
    return { x: own.map((row) => row[places[0]]), y: own.map((row) => row[places[1]]), customdata: own.map((row) => row.model), mode: "markers+text", name: `cluster ${group + 1}`,
      text: own.map((row) => (sideOf.get(row.model) ? plain(shortened(marked(row.model), 18)) : "")), textposition: own.map((row) => sideOf.get(row.model) ?? "top center"), textfont: { size: 10, color: css("--soft") },
      hovertemplate: own.map((row) => `<b>${plain(marked(row.model))}</b><br>cluster ${group + 1}<extra></extra>`), cliponaxis: false,
      marker: { size: 11, color: COLOURS[order % COLOURS.length], symbol: own.map((row) => SYMBOLS[architectures.indexOf(MODELS[PLACE.get(row.model)].architecture ?? "") % SYMBOLS.length]), line: { color: css("--paper"), width: 1 } } };
  });
  const square = heatmapPlot(measure, kind, names, { room: width, boundary: clusterEnds(names, rows), quiet: true,
    onclick: (a, b) => (a === b ? go("model", { name: a }) : go("pair", { a, b, measure, kind })), onhover: (a, b) => highlight([a, b]) });
  const embedding = plot(traces, { xaxis: { showticklabels: false, zeroline: false, title: { text: places[0] === "x" ? "second eigenvector" : "t-SNE 1" } }, yaxis: { showticklabels: false, zeroline: false, title: { text: places[0] === "x" ? "third eigenvector" : "t-SNE 2" } },
    showlegend: true, legend: { orientation: "h", y: 1.08 }, margin: { l: 40, r: 40, t: 30, b: 40 } }, height);
  embedding.id = "embedding";
  function highlight(chosen) {
    Plotly.restyle(embedding, { "marker.opacity": traces.map((trace) => trace.customdata.map((name) => (chosen.includes(name) ? 1 : 0.25))) });
  }
  drawLater.push(() => {
    embedding.on("plotly_hover", (event) => square.crossed(event.points[0].customdata));
    embedding.on("plotly_unhover", () => square.crossed(null));
    embedding.on("plotly_click", (event) => go("model", { name: event.points[0].customdata }));
    square.on("plotly_unhover", () => Plotly.restyle(embedding, { "marker.opacity": 1 }));
  });
  keys.cycle = { m: ["measure", possible, measure], p: ["kind", kinds, kind] };
  return [element("h2", {}, "Groups"), element("p", { class: "lead", id: "stability", "data-value": about?.ari_models_mean }, stabilityWords(about)),
    element("div", { class: "controls" }, picker("measure", possible, measure, "measure", measureTitle), picker("probe", kinds, kind, "kind", inWords), picker("places", ["eigenvectors", "t-SNE"], state.places ?? "eigenvectors", "places"),
      numbers.length > 1 ? element("label", {}, `clusters: ${wanted}`, element("input", { type: "range", min: 0, max: numbers.length - 1, value: numbers.indexOf(wanted), oninput: (event) => choose({ clusters: numbers[event.target.value] }) })) : null),
    element("div", { class: "halves" }, element("div", {}, element("p", { class: "panel-title" }, "Colour: cluster. Shape: architecture. Point at a model to find it in the heatmap."), embedding),
      element("div", {}, element("p", { class: "panel-title" }, panelTitle(measure, kind)), square)),
    block("Members", "Keywords weigh what a cluster's architectures have in common against all others (TF-IDF).", element("div", { class: "panels", id: "members" }, groups.map((group, order) => clusterCard(group, order, members.get(group), measure, kind))))];
}

// Where each name stands beside its point so that none lies on another or on a point; null where there is no room.
const SIDES = { "middle right": [1, 0], "middle left": [-1, 0], "top center": [0, -1], "bottom center": [0, 1], "top right": [1, -1], "top left": [-1, -1], "bottom right": [1, 1], "bottom left": [-1, 1] };
function labelSides(points, width, height) {
  const scaled = (key, size) => {
    const values = points.map((point) => point[key]), low = Math.min(...values), span = Math.max(...values) - low || 1;
    return values.map((value) => ((value - low) / span) * size * 0.9);
  };
  const xs = scaled("x", width), ys = scaled("y", height).map((value) => height - value);
  const taken = xs.map((x, place) => [x - 7, ys[place] - 7, x + 7, ys[place] + 7]);
  const meets = ([a, b, c, d], [e, f, g, h]) => a < g && e < c && b < h && f < d;
  return points.map((point, place) => {
    const long = point.text.length * 5.9;
    for (const [side, [dx, dy]] of Object.entries(SIDES)) {
      const left = xs[place] + (dx > 0 ? 8 : dx < 0 ? -8 - long : -long / 2), top = ys[place] + (dy > 0 ? 7 : dy < 0 ? -19 : -6);
      const box = [left, top, left + long, top + 12];
      if (left < -25 || left + long > width + 45) continue;
      if (taken.some((other, at) => at !== place && meets(box, other))) continue;
      taken.push(box);
      return side;
    }
    return null;
  });
}

function clusterEnds(names, rows) {
  const cluster = new Map(rows.map((row) => [row.model, row.cluster]));
  return names.flatMap((name, place) => (place && cluster.get(name) !== cluster.get(names[place - 1]) ? [place - 0.5] : []));
}

function clusterCard(group, order, members, measure, kind) {
  const keywords = rowsOf("component_keywords", { measure, kind, cluster: group }).filter((row) => row.weight > 0).sort((x, y) => x.rank - y.rank).slice(0, 5);
  return element("div", { class: "cluster", "data-cluster": group, "data-members": members.length },
    element("h4", {}, element("span", { class: "chip", style: { background: COLOURS[order % COLOURS.length] } }), `Cluster ${group + 1}: ${members.length} model${members.length > 1 ? "s" : ""}`),
    element("p", {}, members.flatMap((name, place) => [place ? ", " : "", modelLink(name)])),
    keywords.length ? element("p", { class: "note" }, keywords.map((row) => row.keyword).join("; ")) : null);
}

function stabilityWords(about) {
  if (!about) return "How stable these clusters are was not measured.";
  const found = `Stability ${number(about.ari_models_mean)} (SD ${number(about.ari_models_sd)}): adjusted Rand index with the clusters of resampled models; 1 is the same again.`;
  const p = Number.isFinite(about.ari_models_p) ? about.ari_models_p : undefined;
  const held = p === undefined ? " No null stands beside it in this study, and matrices without structure have stable clusters too: take them for groups only with other evidence."
    : ` Matrices with shuffled pairs reach ${number(about.ari_null_mean)}; p ${number(p)}${p > 0.05 ? ": no more than they, so these are not shown to be groups" : ""}.`;
  return found + held + (COPIES.length ? ` ${COPIES.map(marked).join(", ")}: copies of other models, in no matrix, at the places of these.` : "") + ` ${[["architectures", about.ari_architecture], ["levels", about.ari_level]].filter(([, value]) => Number.isFinite(value)).map(([what, value]) => `With the ${what} ${number(value)}.`).join(" ")}`;
}
