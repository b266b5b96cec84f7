// Every table of the study: sorted by a click on a column, filtered by words, saved as CSV.
const PAGE = 200;

function viewTables(state) {
  const names = Object.keys(DATA.tables), name = names.includes(state.table) ? state.table : "models";
  const found = table(name), limit = Number(state.rows) || PAGE;
  const sort = found.names.includes(state.sort) ? state.sort : null, down = state.down === "1";
  const frame = element("div", { class: "table-frame" }), line = element("p", { class: "note", id: "table-count" });
  const rows = sortedRows(found, filteredRows(found, state.filter ?? ""), sort, down);
  line.textContent = rows.length === found.rows ? `${found.rows} rows` : `${rows.length} of ${found.rows} rows`;
  frame.append(tableOf(name, found, rows.slice(0, limit), sort, down));
  const input = element("input", { type: "search", placeholder: "words that a row must hold", value: state.filter ?? "", name: "filter" });
  let waiting;
  input.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(() => { choose({ filter: input.value, rows: null }); const again = document.querySelector("input[name=filter]"); again?.focus(); again?.setSelectionRange(again.value.length, again.value.length); }, 250); });
  return [element("h2", {}, "Tables"), element("p", { class: "lead" }, "All numbers of this page. Point at a heading for its unit and meaning, click it to sort."),
    element("div", { class: "controls" }, picker("table", names, name, "table"), element("label", {}, "filter", input),
      element("button", { type: "button", id: "csv", onclick: () => saveCsv(name, found, rows) }, "Download CSV")), line, frame,
    rows.length > limit ? element("p", {}, element("button", { type: "button", onclick: () => choose({ rows: limit + 5 * PAGE }) }, `Show more: ${limit} of ${rows.length} are shown`)) : null];
}

function filteredRows(found, filter) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean), texts = found.names.filter((column) => !found.isNumber[column]);
  const rows = counted(found.rows);
  if (!words.length) return rows;
  return rows.filter((row) => {
    const text = texts.map((column) => String(found.columns[column][row] ?? "").toLowerCase()).join("\n") + "\n" +
      found.names.filter((column) => found.isNumber[column]).map((column) => number(found.columns[column][row])).join("\n");
    return words.every((word) => text.includes(word));
  });
}

function sortedRows(found, rows, column, down) {
  if (!column) return rows;
  const values = found.columns[column], sign = down ? -1 : 1;
  const missing = (value) => value === null || Number.isNaN(value);
  return [...rows].sort((i, j) => {
    const [x, y] = [values[i], values[j]];
    if (missing(x) || missing(y)) return missing(x) - missing(y);
    return sign * (found.isNumber[column] ? x - y : String(x).localeCompare(String(y), "en", { numeric: true }));
  });
}

const OF_MODELS = new Set(["name", "model", "model_a", "model_b", "single", "source", "against", "same_weights_as"]);
function tableOf(name, found, rows, sort, down) {
  const head = (column) => {
    const [unit, meaning] = described(name, column), now = column === sort;
    return element("th", { class: found.isNumber[column] ? "number" : null, title: [meaning, unit && unit !== "1" ? `(${unit})` : ""].filter(Boolean).join(" ") || null, "data-sort": column, tabindex: 0,
      "aria-sort": now ? (down ? "descending" : "ascending") : null, onclick: () => choose({ sort: column, down: now && !down ? "1" : null }),
      onkeydown: (event) => { if (event.key === "Enter") event.target.click(); } }, column + (now ? (down ? " \u2193" : " \u2191") : ""));
  };
  const inside = (column, row) => {
    const value = found.columns[column][row];
    if (found.isNumber[column]) return element("td", { class: "number", title: Number.isFinite(value) ? String(value) : null, "data-value": value }, Number.isFinite(value) && Math.abs(value) >= 0.0095 && Math.abs(value) < 1e4 ? trimmed(value) : number(value, 4));
    const text = value === null ? "" : value === true ? "yes" : value === false ? "no" : value;
    const inner = OF_MODELS.has(column) && PLACE.has(text) ? modelLink(text) : shortened(text, 200);
    return element("td", { class: text.length > 60 ? "long" : null }, inner);
  };
  return element("table", { class: "plain" }, element("thead", {}, element("tr", {}, found.names.map(head))),
    element("tbody", {}, rows.map((row) => element("tr", {}, found.names.map((column) => inside(column, row))))));
}

function csvText(found, rows) {
  // A cell that a spreadsheet would take for a formula is kept from being one.
  const quoted = (text) => { const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text; return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe; };
  const written = (column, row) => {
    const value = found.columns[column][row];
    if (!found.isNumber[column]) return value === null ? "" : quoted(String(value));
    return Number.isNaN(value) ? "" : found.columns[column] instanceof Float32Array ? String(Number(value.toPrecision(7))) : String(value);
  };
  return [found.names.map(quoted).join(","), ...rows.map((row) => found.names.map((column) => written(column, row)).join(","))].join("\n") + "\n";
}

function saveCsv(name, found, rows) {
  const url = URL.createObjectURL(new Blob([csvText(found, rows)], { type: "text/csv" }));
  element("a", { href: url, download: `${name}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
