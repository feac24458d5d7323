// SPDX-License-Identifier: GPL-2.0-only
// The page at work: the outline of calls and steps, stepping, search, keys, and the address of a step.
"use strict";
const made = load(timeline.voices[0]);
const lanes = made.voice.cpus.some(Boolean);
let step = 0, from = -1, visible = [], stops = [], folio = made.voice.folios[0], followed = true;

function outline() {
  const root = { children: [], depth: -1, open: true }, path = [root];
  for (const one of made.steps) {
    let kept = 1;
    while (kept < path.length && one.calls[kept - 1] === path[kept].call) kept++;
    path.length = kept;
    for (const call of one.calls.slice(kept - 1)) {
      const node = { call, children: [], depth: path.length - 1, first: one.number, parent: path.at(-1), open: path.length < 3 };
      path.at(-1).children.push(node);
      path.push(node);
    }
    path.at(-1).children.push({ step: one, first: one.number, last: one.number, depth: path.length - 1, parent: path.at(-1) });
    for (const node of path) node.last = one.number;
  }
  return root;
}
const root = outline();

function flatten(node, found) {
  for (const child of node.children) { found.push(child); if (child.children && child.open) flatten(child, found); }
  return found;
}
function layOut() {
  visible = flatten(root, []);
  stops = visible.filter((row) => !row.open);
  get("slider").max = stops.length - 1;
}
function stopOf(number) {
  let low = 0, high = stops.length - 1;
  while (low < high) { const middle = (low + high) >> 1; if (stops[middle].last < number) low = middle + 1; else high = middle; }
  return low;
}
// Open the calls around a step, so that it is a row.
function reveal(number) {
  let node = root, opened = false;
  while (node.children) {
    node = node.children.find((child) => child.first <= number && number <= child.last);
    if (!node) break;
    if (node.children && !node.open) { node.open = opened = true; }
  }
  if (opened) layOut();
}

function rowOf(row, index) {
  const text = row.step ? label(made, row.step) : `${row.call.function.name}()`;
  const more = row.children && !row.open ? `  (${row.last - row.first + 1})` : "";
  const noted = row.step ? note(made, row.step) : "";
  const kind = row.children ? "call" : row.step.findings ? "found" : noted ? "stage noted" : row.step.name === "mark" ? "stage" : "";
  const current = !row.open && row.first <= step && step <= row.last;
  const lane = lanes ? made.steps[row.first].row[1] : 0; // of its CPU: actors have lanes side by side
  return tag("div", { class: `row ${kind}${lanes ? " lane" + lane % 3 : ""}`, role: "option", id: `row${index}`, "aria-selected": current,
    style: `top:${index * ROW}px;padding-left:${Math.min(row.depth, 12) * 10 + 4}px;margin-left:${lane * 2.5}rem`, title: noted ? `${text}: ${noted}` : text,
    onclick: () => { if (row.children) { row.open = !row.open; layOut(); show(row.open ? step : row.last); } else show(row.first); } },
    (row.children ? (row.open ? "▾ " : "▸ ") : "") + text + more);
}
function drawList() { drawRows(visible.length, (index) => rowOf(visible[index], index)); }

function followFolio() {
  const one = made.steps[step];
  const va = one.name === "folio" ? one.row[4] : one.name === "entry.store" && one.row[5] === 0 && one.row[3] ? one.row[6] : -1;
  const size = (each) => each.pages * 2 ** made.voice.page_shift;
  const found = va < 0 ? null : made.voice.folios.find((each) => each.va <= va && va < each.va + size(each));
  if (found && followed) folio = found;
}
function show(number, write = true) {
  const target = Math.max(0, Math.min(made.steps.length - 1, number));
  from = target > step ? step : target - 1;
  step = target;
  followFolio();
  const at = stopOf(step);
  get("slider").value = at;
  get("slider").setAttribute("aria-valuetext", `step ${step}: ${label(made, made.steps[step])}`);
  get("where").textContent = `step ${step} of ${made.steps.length - 1}`;
  if (folio) {
    get("folio").value = made.voice.folios.indexOf(folio);
    get("picture").replaceChildren(drawFolio(made, folio, step, from, (one) => get("entry").replaceChildren(...drawEntry(made, one))));
  }
  get("lanes").replaceChildren(...drawLanes(made, step, from));
  get("detail").replaceChildren(...drawDetail(made, step));
  drawAround(visible.indexOf(stops[at]), drawList);
  if (write) history.replaceState(null, "", `#step=${step}`);
}
function move(by) {
  const at = stopOf(step) + by;
  if (stops[at]) show(stops[at].last); else stop();
}
function search(text) {
  const hits = (one) => label(made, one).toLowerCase().includes(text) || one.calls.some((call) => call.function.name.includes(text));
  const found = made.steps.slice(step + 1).find(hits) || made.steps.find(hits);
  if (found) { reveal(found.number); show(found.number); }
  return Boolean(found);
}
// The picture as a file of its own: what the page's styles give its elements is written into them.
function svgText(svg) {
  const copy = svg.cloneNode(true), copies = copy.querySelectorAll("*"), { width, height } = svg.viewBox.baseVal;
  const shape = ["fill", "stroke", "stroke-width", "stroke-dasharray"], kept = { rect: shape, path: shape, text: ["fill", "font-family", "font-size"] };
  svg.querySelectorAll("*").forEach((one, i) => {
    const styles = getComputedStyle(one);
    for (const name of kept[one.tagName] || []) copies[i].setAttribute(name, styles.getPropertyValue(name));
    for (const name of ["class", "role", "tabindex", "aria-label"]) copies[i].removeAttribute(name);
  });
  copy.prepend(tag("rect", { width, height, fill: getComputedStyle(svg.closest("section")).backgroundColor }));
  for (const [name, value] of Object.entries({ width, height, role: "img" })) copy.setAttribute(name, value);
  return new XMLSerializer().serializeToString(copy);
}
function save() {
  const svg = get("picture").firstElementChild;
  if (svg) tag("a", { download: `vmemmap-step-${step}.svg`, href: "data:image/svg+xml," + encodeURIComponent(svgText(svg)) }).click();
}
function nextFinding() {
  const found = made.findings.find((number) => number > step) ?? made.findings[0];
  if (found !== undefined) { reveal(found); show(found); }
}
function showNoted() {
  const found = made.steps.find((one) => note(made, one));
  if (found) { reveal(found.number); show(found.number); }
}
function fromAddress() {
  const wanted = addressedStep();
  const start = made.steps.findIndex((one) => one.name === "entry.store" && one.row[3]);
  const number = wanted ?? Math.max(start, 0);
  reveal(Math.min(number, made.steps.length - 1));
  show(number, wanted !== null);
}

get("target").textContent = made.voice.target;
made.voice.folios.forEach((one, i) => get("folio").append(tag("option", { value: i }, `folio at PFN ${hex(one.pfn)}, ${one.pages} pages`)));
get("folio").onchange = () => { followed = false; folio = made.voice.folios[get("folio").value]; show(step); followed = true; };
get("find").textContent = made.findings.length ? `Findings: ${made.findings.length}` : "No findings";
get("find").disabled = !made.findings.length;
get("save").onclick = save;
get("noted").onclick = showNoted;
get("noted").hidden = !made.steps.some((one) => note(made, one));
layOut();
control({ move, search, nextFinding, fromAddress, drawList, first: () => show(0), last: () => show(made.steps.length - 1),
  slide: (at) => show(stops[at].last), more: { s: save, p: showNoted } });
