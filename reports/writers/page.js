"use strict";

const root = document.documentElement;
const byId = (id) => document.getElementById(id);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// Rows are sorted inside their group; a missing value stays last in either direction.
function sortBy(heading, direction) {
  const index = heading.cellIndex;
  for (const other of heading.parentNode.children) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  for (const body of heading.closest("table").tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
    rows.sort((one, other) => compare(one.cells[index], other.cells[index], sign));
    body.append(...rows);
  }
}

function nextDirection(heading) {
  const first = heading.dataset.first || "ascending";
  const turned = first === "ascending" ? "descending" : "ascending";
  return heading.getAttribute("aria-sort") === first ? turned : first;
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
  let shown = 0;
  for (const table of all("table")) {
    let left = 0;
    for (const body of table.tBodies) left += filterBody(body, words);
    table.closest("section").querySelector(".nomatch").hidden = left > 0;
    shown += left;
  }
  const count = shown ? `${shown} of ${all("tbody tr:not(.group)").length} rows match.` : `No row matches “${text}”.`;
  byId("matches").textContent = words.length ? count : "";
}

function filterBody(body, words) {
  let left = 0;
  for (const row of all("tr:not(.group)", body)) {
    const said = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => said.includes(word));
    left += !row.hidden;
  }
  body.hidden = left === 0;
  return left;
}

function showColumn(heading, shown) {
  for (const row of heading.closest("table").rows) {
    if (!row.classList.contains("group")) row.cells[heading.cellIndex].hidden = !shown;
  }
}

// Each table gets a list of its columns of numbers, to choose from.
function offerColumns(details) {
  for (const heading of all("th.number", details.closest("section"))) {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = true;
    box.dataset.column = `${details.closest("section").id}:${heading.cellIndex}`;
    box.addEventListener("change", () => { showColumn(heading, box.checked); keepState(); });
    label.append(box, ` ${heading.textContent.trim()}`);
    details.append(label);
  }
  details.hidden = false;
}

function link(text, address) {
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.textContent = text;
  return anchor;
}

function explain(button) {
  const dialog = byId("why");
  const files = (button.dataset.files || "").split("\n").filter(Boolean);
  const links = files.map((file) => link(decodeURIComponent(file.split("/").pop()), file));
  links.push(link("Link to this number", `#${new URLSearchParams({ cell: button.dataset.cell })}`));
  dialog.querySelector("h3").textContent = button.getAttribute("aria-label");
  dialog.querySelector("pre").textContent = button.closest("td").title;
  dialog.querySelector(".links").replaceChildren(...links.flatMap((one) => [one, document.createElement("br")]));
  if (!dialog.open) dialog.showModal();
}

function nextTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = root.dataset.theme || (dark ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
}

// What somebody has chosen stands behind # in the address, so that a copy of it shows the same.
function keepState() {
  const state = new URLSearchParams();
  if (byId("filter").value) state.set("filter", byId("filter").value);
  if (root.dataset.theme) state.set("theme", root.dataset.theme);
  if (root.classList.contains("intervals")) state.set("intervals", "on");
  for (const heading of all("th[aria-sort]")) {
    state.append("sort", `${heading.closest("section").id}:${heading.cellIndex}:${heading.getAttribute("aria-sort")}`);
  }
  for (const box of all("input[data-column]:not(:checked)")) state.append("hide", box.dataset.column);
  history.replaceState(null, "", `#${state}`);
}

function restoreState() {
  if (!location.hash.includes("=")) return;  // the address of a section
  const state = new URLSearchParams(location.hash.slice(1));
  byId("filter").value = state.get("filter") || "";
  filterRows(byId("filter").value);
  if (["light", "dark"].includes(state.get("theme"))) root.dataset.theme = state.get("theme");
  showIntervals(state.get("intervals") === "on");
  for (const text of state.getAll("sort")) {
    const [section, index, direction] = text.split(":");
    const heading = byId(section)?.querySelector("thead tr")?.cells[index];
    if (heading && ["ascending", "descending"].includes(direction)) sortBy(heading, direction);
  }
  for (const box of all("input[data-column]")) {
    const shown = !state.getAll("hide").includes(box.dataset.column);
    if (box.checked !== shown) box.click();
  }
  const button = all("button.why").find((one) => one.dataset.cell === state.get("cell"));
  if (button) { button.scrollIntoView({ block: "center" }); explain(button); }
}

function showIntervals(shown) {
  const box = byId("intervals");
  if (box) box.checked = shown;
  root.classList.toggle("intervals", Boolean(box) && shown);
}

// Figures: words of a bar or a point, and of a line the value nearest to the pointer.
function showHover(event) {
  const part = event.target.closest?.("[data-text], [data-x]");
  const text = part && ("text" in part.dataset ? part.dataset.text : nearestValue(part, event));
  const hover = byId("hover");
  hover.hidden = !text;
  if (!text) return;
  hover.textContent = text;
  const { offsetWidth: width, offsetHeight: height } = hover;
  hover.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - width - 4))}px`;
  hover.style.top = `${event.clientY + 16 + height > innerHeight ? event.clientY - height - 8 : event.clientY + 16}px`;
}

const REACH = 24;  // pixels of the screen between the pointer and the point that it shows

function nearestValue(axes, event) {
  const box = axes.querySelector("path").getBoundingClientRect();  // the first path of a panel is its ground
  let [best, distance] = ["", REACH];
  for (const line of all("[data-line]", axes)) {
    const path = line.querySelector("path");
    const matrix = path.getScreenCTM();
    for (const [, x, y] of path.getAttribute("d").matchAll(/[ML]\s*(-?[\d.]+) (-?[\d.]+)/g)) {
      const point = new DOMPoint(Number(x), Number(y)).matrixTransform(matrix);
      const away = Math.hypot(point.x - event.clientX, point.y - event.clientY);
      if (away >= distance) continue;
      const step = value(axes, "x", 0, (point.x - box.left) / box.width);
      const shown = value(axes, "y", 1, (box.bottom - point.y) / box.height);
      [best, distance] = [`${line.dataset.line}: ${shown} at ${step}`, away];
    }
  }
  return best;
}

// The value at a share of an axis.
function value(axes, name, index, share) {
  const [low, high] = JSON.parse(axes.dataset[name]);
  const logarithmic = JSON.parse(axes.dataset.log)[index];
  const number = logarithmic ? low * (high / low) ** share : low + (high - low) * share;
  return Number(number.toPrecision(name === "x" ? 6 : 3));
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.classList.contains("sort")) sortBy(button.closest("th"), nextDirection(button.closest("th")));
  if (button.classList.contains("why")) explain(button);
  if (button.id === "theme") nextTheme();
  if (button.id === "theme" || button.classList.contains("sort")) keepState();
});
byId("filter").addEventListener("input", (event) => { filterRows(event.target.value); keepState(); });
byId("intervals")?.addEventListener("change", (event) => { showIntervals(event.target.checked); keepState(); });
for (const name of ["pointermove", "pointerdown"]) document.addEventListener(name, showHover);
addEventListener("hashchange", restoreState);
all("details.columns").forEach(offerColumns);
byId("controls").hidden = false;
restoreState();
