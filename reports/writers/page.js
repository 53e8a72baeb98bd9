"use strict";

// Rows are sorted inside their group; a missing value stays last in either direction.
function sortBy(heading) {
  const index = [...heading.parentNode.children].indexOf(heading);
  const first = heading.dataset.first || "ascending";
  const turned = first === "ascending" ? "descending" : "ascending";
  const direction = heading.getAttribute("aria-sort") === first ? turned : first;
  for (const other of heading.parentNode.children) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  for (const body of heading.closest("table").tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
    rows.sort((one, other) => compare(one.cells[index], other.cells[index], sign));
    body.append(...rows);
  }
}

function compare(one, other, sign) {
  if (!("value" in one.dataset) || !("value" in other.dataset)) return missing(one) - missing(other);
  const [a, b] = [one.dataset.value, other.dataset.value];
  const numeric = one.classList.contains("number");
  return sign * (numeric ? Number(a) - Number(b) : a.localeCompare(b, undefined, { numeric: true }));
}

function missing(cell) {
  return "value" in cell.dataset ? 0 : 1;
}

// A row stays when it holds every word that was typed; a group without rows goes with its title.
function filterRows(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const body of document.querySelectorAll("tbody")) {
    let left = 0;
    for (const row of body.querySelectorAll("tr:not(.group)")) {
      const said = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => said.includes(word));
      left += !row.hidden;
    }
    body.hidden = left === 0;
  }
}

function explain(button) {
  const dialog = document.getElementById("why");
  dialog.querySelector("h3").textContent = button.getAttribute("aria-label");
  const lines = button.closest("td").title.split("\n").flatMap((text) => ["\n", originLine(text)]).slice(1);
  dialog.querySelector("pre").replaceChildren(...lines);
  dialog.showModal();
}

// A line of the origin; one that names a result file leads to it if the files lie beside the page.
function originLine(text) {
  const folder = document.body.dataset.evidence;
  const line = document.createElement(folder && text.startsWith("file ") ? "a" : "span");
  if (line.localName === "a") line.href = folder + text.slice(5).split("/").map(encodeURIComponent).join("/");
  line.textContent = text;
  return line;
}

function nextTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme || (dark ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.classList.contains("sort")) sortBy(button.closest("th"));
  if (button.classList.contains("why")) explain(button);
  if (button.id === "theme") nextTheme();
});
document.getElementById("filter").addEventListener("input", (event) => filterRows(event.target.value));
document.getElementById("controls").hidden = false;
