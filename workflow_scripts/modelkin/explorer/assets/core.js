// What all views share: data, words and numbers, elements, state in the address, looks.
const DATA = JSON.parse(document.getElementById("data").textContent);
const READERS = { float32: Float32Array, float64: Float64Array, int8: Int8Array, int16: Int16Array, int32: Int32Array };

function numbersOf(text, kind) {
  const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  return new READERS[kind](bytes.buffer);
}

const decoded = new Map();
// A table as {rows, names, columns: {name: values}, isNumber: {name: whether}}; null if the study has none.
function table(name) {
  const found = Object.hasOwn(DATA.tables, name) ? DATA.tables[name] : null;
  if (!found) return null;
  if (!decoded.has(name)) {
    const columns = {}, isNumber = {};
    for (const column of found.columns) {
      const values = numbersOf(column.data, column.type);
      isNumber[column.name] = !column.words;
      columns[column.name] = column.words
        ? Array.from(values, (code) => (code < 0 ? null : column.words[code])) : values;
    }
    decoded.set(name, { rows: found.rows, names: found.columns.map((c) => c.name), columns, isNumber });
  }
  return decoded.get(name);
}

// The rows of a table as objects, of those where all wanted columns have these values.
function rowsOf(name, wanted = {}) {
  const found = table(name);
  if (!found) return [];
  const keys = Object.keys(wanted).filter((key) => key in found.columns), out = [];
  for (let row = 0; row < found.rows; row++) {
    if (keys.every((key) => found.columns[key][row] === wanted[key])) {
      out.push(Object.fromEntries(found.names.map((column) => [column, found.columns[column][row]])));
    }
  }
  return out;
}

const MODELS = rowsOf("models");
const NAMES = MODELS.map((model) => model.name);
// Models with the weights of an earlier one, which count once where pairs are compared.
const COPIES = MODELS.filter((model) => model.same_weights_as).map((model) => model.name);
const withoutCopies = () => (COPIES.length ? ` Without ${COPIES.map(marked).join(", ")}: copies of other models.` : "");
const PLACE = new Map(NAMES.map((name, place) => [name, place]));
const MEASURES = rowsOf("measures");
const MEASURE = new Map(MEASURES.map((measure) => [measure.measure, measure]));
const SIMILARITY = table("similarity");
const COUNT = NAMES.length;
const ORDERS = new Map(DATA.orders.map(([measure, kind, order]) => [`${measure}\n${kind}`, order]));
const KINDS = [...new Set(SIMILARITY.columns.kind)];

// For each measure and kind the row of the similarity table of every pair, -1 where there is none.
const SQUARES = new Map();
{
  const { kind, measure, model_a, model_b } = SIMILARITY.columns;
  for (let row = 0; row < SIMILARITY.rows; row++) {
    const key = `${measure[row]}\n${kind[row]}`;
    if (!SQUARES.has(key)) SQUARES.set(key, new Int32Array(COUNT * COUNT).fill(-1));
    const a = PLACE.get(model_a[row]), b = PLACE.get(model_b[row]);
    if (a !== undefined && b !== undefined) SQUARES.get(key)[a * COUNT + b] = row;
  }
  for (const square of SQUARES.values()) {
    for (let a = 0; a < COUNT; a++) for (let b = 0; b < COUNT; b++) {
      if (square[a * COUNT + b] < 0 && square[b * COUNT + a] >= 0) square[a * COUNT + b] = square[b * COUNT + a];
    }
  }
}
const hasSquare = (measure, kind) => SQUARES.has(`${measure}\n${kind}`);
const kindsOf = (measure) => KINDS.filter((kind) => hasSquare(measure, kind));
const isDirected = (kind) => kind.split(":")[0] === "inverted";
const isDistance = (measure) => MEASURE.get(measure)?.direction === "distance";

// What the similarity table says of a pair; null where it says nothing.
function cell(measure, kind, a, b) {
  const square = SQUARES.get(`${measure}\n${kind}`), place = PLACE.get(a) * COUNT + PLACE.get(b);
  const row = square ? square[place] : -1;
  if (!(row >= 0)) return null;
  const { value, ci_low, ci_high, chance, n, attack_success } = SIMILARITY.columns;
  return { value: value[row], low: ci_low[row], high: ci_high[row], chance: chance[row], n: n[row],
    attack: attack_success ? attack_success[row] : NaN };
}

// The values of all pairs of different models, most alike first: {a, b, value}; each pair once where it has one value.
// A copy is no other model: with its original it would be the first of every list, and its other pairs stand in it already.
const ranked = new Map();
function ranking(measure, kind) {
  const key = `${measure}\n${kind}`;
  if (!ranked.has(key)) {
    const found = [];
    for (const [i, a] of NAMES.entries()) for (const [j, b] of NAMES.entries()) {
      if (i === j || (i > j && !isDirected(kind)) || COPIES.includes(a) || COPIES.includes(b)) continue;
      const here = cell(measure, kind, a, b);
      if (here && Number.isFinite(here.value)) found.push({ a, b, value: here.value });
    }
    const sign = isDistance(measure) ? 1 : -1;
    ranked.set(key, found.sort((x, y) => sign * (x.value - y.value)));
  }
  return ranked.get(key);
}

// words and numbers

const MINUS = "\u2212";
const grouped = (whole) => String(whole).replace(/\B(?=(\d{3})+$)/g, Math.abs(whole) < 1e4 ? "" : "\u2009").replace("-", MINUS);
function number(value, places = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  if (!Number.isFinite(value)) return value > 0 ? "\u221e" : `${MINUS}\u221e`;
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return grouped(value);
  const size = Math.abs(value);
  const text = size >= 1e6 ? value.toPrecision(4) : size >= 0.0095 ? value.toFixed(Math.max(0, size >= 100 ? 1 : places))
    : value.toPrecision(2);
  return text.replace("-", MINUS);
}
// As a config has it: no more places than it needs.
const trimmed = (value) => String(Number(value.toPrecision(4))).replace("-", MINUS);
const interval = (low, high) => (Number.isFinite(low) && Number.isFinite(high) ? `[${number(low)}, ${number(high)}]` : "");
const fixed = (value, places) => (Number.isFinite(value) ? value.toFixed(places).replace("-", MINUS) : "");
function percent(share) {
  if (!Number.isFinite(share)) return "";
  const whole = Math.abs(100 * share - Math.round(100 * share)) < 0.005;
  return `${(100 * share).toFixed(whole || (share > 0.0995 && share < 0.9) ? 0 : 1)} %`;
}
function inWords(kind) {
  const [made, label] = kind.split(/:(.*)/s);
  return label ? `${made} (${label})` : made;
}
function measureTitle(label) {
  const known = MEASURE.get(label), settings = label.split(/-(.*)/s)[1];
  return known ? known.title + (settings ? ` (${settings})` : "") : label;
}
const flags = new Map(MODELS.map((model) => [model.name,
  (model.inversion_failed === true ? "*" : "") + (model.at_chance === true ? "\u2020" : "")]));
const marked = (name) => name + (flags.get(name) ?? "");
// Plotly reads a few tags in its texts.
const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const shortened = (text, most = 24) => (text.length > most ? `${text.slice(0, most - 1)}\u2026` : text);
// A threat and a radius; standard models are one level.
const level = (model) => (model.eps > 0 ? `robust (${model.norm} ${trimmed(model.eps)})` : model.eps === 0 ? "standard" : "");

// elements; whatever comes from the study becomes text

function element(name, about = {}, ...inner) {
  const made = name === "svg" || element.svg.has(name)
    ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(about)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "style") Object.assign(made.style, value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...inner.flat(9).filter((each) => each !== null && each !== undefined && each !== false));
  return made;
}
element.svg = new Set(["path", "line", "circle", "rect"]);
const block = (title, note, ...inner) => element("section", { class: "block" }, element("h3", {}, title),
  note ? element("p", { class: "note" }, note) : null, ...inner);
const link = (text, view, state = {}) => element("a", { href: address(view, state) }, text);
const modelLink = (name) => link(marked(name), "model", { name });
const pairLink = (a, b, state = {}) => link(`${marked(a)} and ${marked(b)}`, "pair", { a, b, ...state });
function facts(entries) {
  return element("dl", { class: "facts" }, entries.filter(([, value]) => value !== "" && value !== null && value !== undefined)
    .map(([term, value]) => [element("dt", {}, term), element("dd", {}, value)]));
}
// heads: {text, number, title}; rows: arrays of cells.
function plainTable(heads, rows) {
  const numeric = (place) => ({ class: heads[place].number ? "number" : null });
  return element("div", { class: "scroll" }, element("table", { class: "plain" },
    element("thead", {}, element("tr", {}, heads.map((head, place) =>
      element("th", { ...numeric(place), title: head.title }, head.text)))),
    element("tbody", {}, rows.map((cells) => element("tr", {}, cells.map((each, place) =>
      element("td", numeric(place), each)))))));
}

// state: which view, and what is chosen in it, in the address

function address(view, state = {}) {
  const kept = Object.entries(state).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return `#${view}` + (kept.length ? "?" + kept.map(([key, value]) =>
    `${encodeURIComponent(key)}=${encodeURIComponent(value)}`).join("&") : "");
}
function readAddress() {
  const [view, query] = location.hash.slice(1).split(/\?(.*)/s);
  return { view: Object.hasOwn(VIEWS, view) ? view : "answer", state: Object.fromEntries(new URLSearchParams(query ?? "")) };
}
// Choosing something in a view changes the address, so that it can be shared; it does not fill the history.
function choose(changes) {
  const { view, state } = readAddress();
  history.replaceState(null, "", address(view, { ...state, ...changes }));
  show();
}
const remembered = {};  // measure and kind, from one view to the next
function chosenMeasure(state) {
  const inverted = MEASURES.find((each) => hasSquare(each.measure, "inverted"));
  const known = [state.measure, remembered.measure, inverted?.measure].find((label) => MEASURE.has(label) && kindsOf(label).length);
  remembered.measure = known ?? MEASURES.find((each) => kindsOf(each.measure).length).measure;
  return remembered.measure;
}
function chosenKind(state, measure, more = []) {
  const possible = [...kindsOf(measure), ...more];
  remembered.kind = [state.kind, remembered.kind].find((kind) => possible.includes(kind)) ?? possible[0];
  return remembered.kind;
}
function picker(title, options, chosen, key, described = (option) => option) {
  const select = element("select", { name: key, onchange: (event) => choose({ [key]: event.target.value }) },
    options.map((option) => element("option", { value: option, selected: option === chosen }, described(option))));
  return element("label", {}, title, select);
}
const measurePicker = (measure) =>
  picker("measure", MEASURES.map((each) => each.measure).filter((label) => kindsOf(label).length), measure, "measure", measureTitle);

// looks

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
// Okabe and Ito's colours, which people with any colour vision can tell apart.
const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999"];
const SYMBOLS = ["circle", "square", "diamond", "cross", "triangle-up", "x", "star", "hexagon", "triangle-down", "pentagon"];
function layout(more = {}) {
  const axis = { gridcolor: css("--line"), zerolinecolor: css("--line"), linecolor: css("--line"), automargin: true,
    tickfont: { size: 11 }, title: { font: { size: 12 } } };
  const { xaxis, yaxis, ...rest } = more;
  return { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, dragmode: false,
    font: { family: css("--sans"), size: 12, color: css("--soft") }, margin: { l: 50, r: 12, t: 8, b: 44 },
    hoverlabel: { bgcolor: css("--panel"), bordercolor: css("--line"), font: { color: css("--ink"), size: 13 }, align: "left" },
    xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis }, ...rest };
}
const PLAIN = { displayModeBar: false, responsive: true, displaylogo: false };
function plot(traces, about, height) {
  const place = element("div", { class: "plot", style: { height: `${height}px` } });
  drawLater.push(() => Plotly.newPlot(place, traces, layout(about), PLAIN));
  return place;
}
let drawLater = [];  // once its element stands in the page

// images: a strip holds many, of which a tile shows one

function tile(name, place, { wrong = false, title = "" } = {}) {
  const strip = DATA.pictures.strips[name];
  if (!strip || !(place < strip.n)) return element("span", { class: "tile" });
  const at = strip.n > 1 ? `${(100 * place) / (strip.n - 1)}% 0` : "0 0";
  return element("span", { class: `tile${strip.uri.startsWith("data:image/png") ? " sharp" : ""}${wrong ? " wrong" : ""}`, title,
    role: "img", "aria-label": title || name,
    style: { backgroundImage: `url("${strip.uri}")`, backgroundSize: `${100 * strip.n}% 100%`, backgroundPosition: at } });
}
const hasStrip = (name) => Object.hasOwn(DATA.pictures.strips, name);
const aboutStrip = (name) => DATA.pictures.about[name] ?? {};
// rows: [heading, name of a strip, function of the place to a caption, options of the tile]; places: which of its images.
function gallery(rows, places) {
  return element("div", { class: "gallery" }, element("table", {}, rows.filter(([, name]) => hasStrip(name)).map(
    ([heading, name, caption, options]) => element("tr", {}, element("th", { title: heading }, heading), places.map((place) =>
      element("td", {}, tile(name, place, options ? options(place) : {}), caption ? caption(place) : null))))));
}
