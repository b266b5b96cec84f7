// Which view is shown; keys; light and dark.
const VIEWS = { answer: ["Answer", viewAnswer], heatmap: ["Heatmap", viewHeatmap], pair: ["Pair", viewPair], model: ["Model", viewModel], clusters: ["Groups", viewClusters],
  measures: ["Measures", viewMeasures], tables: ["Tables", viewTables] };
const keys = {};

function go(view, state) {
  location.hash = address(view, state);
}

let before = null;
function show() {
  const { view, state } = readAddress();
  const [answer, other] = ["view-answer", "view-other"].map((id) => document.getElementById(id));
  document.querySelectorAll("#views a").forEach((each) => (each.dataset.view === view ? each.setAttribute("aria-current", "page") : each.removeAttribute("aria-current")));
  for (const key of Object.keys(keys)) delete keys[key];
  answer.hidden = view !== "answer";
  other.hidden = view === "answer";
  other.querySelectorAll(".js-plotly-plot").forEach((each) => Plotly.purge(each));
  drawLater = [];
  other.replaceChildren(...VIEWS[view][1](state).flat(9).filter(Boolean));
  drawLater.forEach((draw) => draw());
  if (before !== view) scrollTo(0, 0);
  before = view;
  const tab = document.querySelector("#views a[aria-current]");
  tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.offsetLeft - 40;
  document.body.dataset.view = view;
}

document.getElementById("views").append(...Object.entries(VIEWS).map(([view, [title]], place) =>
  element("a", { href: `#${view}`, "data-view": view, title: `${title} (${place + 1})` }, title)));

const isDark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
function changeTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  show();
}
document.getElementById("theme").addEventListener("click", changeTheme);
document.getElementById("help-button").addEventListener("click", () => document.getElementById("help").showModal());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
  const view = Object.keys(VIEWS)[Number(event.key) - 1], lower = event.key.toLowerCase();
  if (view) go(view, {});
  else if (event.key === "?") document.getElementById("help").showModal();
  else if (lower === "d") changeTheme();
  else if (event.key in ARROWS && keys.arrow) { event.preventDefault(); keys.arrow(...ARROWS[event.key]); }
  else if (event.key === "Enter" && keys.enter && !event.target.closest("a, button, th")) keys.enter();
  else if (keys.cycle?.[lower]) {
    const [key, options, now] = keys.cycle[lower], step = event.shiftKey ? -1 : 1;
    choose({ [key]: options[(options.indexOf(now) + step + options.length) % options.length] });
  }
});
addEventListener("hashchange", show);
show();
document.body.dataset.ready = "yes";
