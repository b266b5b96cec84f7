// Sorts the rows by a click on a heading and hides those without the words that are asked for.
const body = document.querySelector("tbody"), headings = [...document.querySelectorAll("th")];
const before = [...body.rows];

function value(row, column) {
  const cell = row.cells[column];
  if (!("value" in cell.dataset)) return cell.textContent;
  return cell.dataset.value === "" ? null : Number(cell.dataset.value);
}

function compared(x, y) {
  return typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true });
}

function sort(column) {
  const heading = headings[column], down = heading.getAttribute("aria-sort") === "ascending";
  headings.forEach((each) => each.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  const rows = [...before].sort((first, second) => {
    const [x, y] = [value(first, column), value(second, column)];
    if (x === null || y === null) return (x === null) - (y === null);
    return (down ? -1 : 1) * compared(x, y);
  });
  body.append(...rows);
}

headings.forEach((heading, column) => heading.firstChild.addEventListener("click", () => sort(column)));
document.querySelector("input").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/);
  before.forEach((row) => { row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word)); });
});
