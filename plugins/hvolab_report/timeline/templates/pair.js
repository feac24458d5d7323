// SPDX-License-Identifier: GPL-2.0-only
// Two voices side by side: their aligned steps in one list, and what each of them shows after a step of both.
"use strict";
// A row differs by a text of that number; else it is the same, or not compared.
const sides = timeline.voices.slice(0, 2).map(load), SAME = -1;
const rows = alignedRows(), firstDifference = rows.findIndex((row) => row.differs >= 0);
const findings = rows.map((row, i) => (sides.some((_, side) => stepsOf(row, side).some((one) => one.findings)) ? i : -1)).filter((i) => i >= 0);
let at = 0, place = sides[0].voice.folios[0]?.va ?? sides[1].voice.folios[0]?.va, followed = true;

// A row: of each voice the first step and the number of steps. Steps that correspond one by one have a row each.
function alignedRows() {
  const found = [], flat = timeline.aligned;
  for (let i = 0; i < flat.length; i += 5) {
    const [one, ones, two, twos, differs] = flat.slice(i, i + 5);
    const alone = !ones || !twos, single = alone || (differs === SAME && ones === twos);
    for (let k = 0; k < (single ? Math.max(ones, twos) : 1); k++)
      found.push({ first: single ? [one + (ones && k), two + (twos && k)] : [one, two],
        count: single ? [Math.min(ones, 1), Math.min(twos, 1)] : [ones, twos], differs });
  }
  return found;
}
function stepsOf(row, side) { return sides[side].steps.slice(row.first[side], row.first[side] + row.count[side]); }
function labelOf(row, side) {
  const steps = stepsOf(row, side);
  return steps.length ? label(sides[side], steps.at(-1)) + (steps.length > 1 ? `  ×${steps.length}` : "") : "";
}
function verdict(row) {
  if (row.differs >= 0) return "Differs: " + timeline.differs[row.differs];
  return row.differs === SAME ? "Alike" : "Not compared: one of the two does not report such steps";
}

function rowOf(index) {
  const row = rows[index], texts = [labelOf(row, 0), labelOf(row, 1)], differs = row.differs >= 0;
  const stage = stepsOf(row, 0)[0]?.name === "mark", mark = differs ? "≠" : row.differs === SAME ? "=" : "·";
  return tag("div", { class: `row ${differs ? "found" : stage ? "stage" : row.differs === SAME ? "" : "dim"}`, role: "option", id: `row${index}`,
    "aria-selected": index === at, style: `top:${index * ROW}px`, title: `${texts[0] || "no step"} | ${texts[1] || "no step"}`,
    onclick: () => show(index) }, tag("span", {}, texts[0]), tag("span", { class: "sign" }, mark), tag("span", {}, texts[1]));
}
function drawList() { drawRows(rows.length, rowOf); }

// The folio that a row works on becomes the one of both pictures.
function followFolio(row) {
  for (const [side, made] of sides.entries())
    for (const one of stepsOf(row, side)) {
      const va = one.name === "folio" ? one.row[4] : one.name === "entry.store" && one.row[5] === 0 && one.row[3] ? one.row[6] : -1;
      const size = (each) => each.pages * 2 ** made.voice.page_shift;
      const found = va < 0 ? null : made.voice.folios.find((each) => each.va <= va && va < each.va + size(each));
      if (found && followed) { place = found.va; return; }
    }
}
function drawSide(row, side) {
  const made = sides[side], present = row.count[side] > 0, step = Math.max(0, row.first[side] + row.count[side] - 1);
  const from = present ? row.first[side] - 1 : step, folio = made.voice.folios.find((each) => each.va === place);
  const choose = (one) => get(`entry${side}`).replaceChildren(...drawEntry(made, one));
  get(`picture${side}`).replaceChildren(folio ? drawFolio(made, folio, step, from, choose) : "no work on this folio is recorded");
  get(`lanes${side}`).replaceChildren(...drawLanes(made, step, from));
  get(`detail${side}`).replaceChildren(...(present ? drawDetail(made, step) : [tag("p", { class: "dim" }, `No such step; the picture is that after step ${step}`)]));
}
function show(index, write = true) {
  at = Math.max(0, Math.min(rows.length - 1, index));
  const row = rows[at];
  followFolio(row);
  get("folio").value = place ?? "";
  get("slider").value = at;
  get("slider").setAttribute("aria-valuetext", `step ${at}: ${labelOf(row, 0) || labelOf(row, 1)}`);
  get("where").textContent = `step ${at} of ${rows.length - 1}`;
  get("differs").textContent = verdict(row);
  get("differs").className = row.differs >= 0 ? "bad" : "dim";
  for (const side of [0, 1]) drawSide(row, side);
  drawAround(at, drawList);
  if (write) history.replaceState(null, "", `#step=${at}`);
}
function move(by) { if (rows[at + by]) show(at + by); else stop(); }
function search(text) {
  const hits = (row) => [0, 1].some((side) => stepsOf(row, side).some((one) =>
    label(sides[side], one).toLowerCase().includes(text) || one.calls.some((call) => call.function.name.includes(text))));
  const after = rows.findIndex((row, index) => index > at && hits(row)), found = after < 0 ? rows.findIndex(hits) : after;
  if (found >= 0) show(found);
  return found >= 0;
}
function nextFinding() { if (findings.length) show(findings.find((index) => index > at) ?? findings[0]); }
function toDifference() { if (firstDifference >= 0) show(firstDifference); }
function fromAddress() {
  const wanted = addressedStep();
  show(wanted ?? Math.max(firstDifference, 0), wanted !== null);
}

function fill() {
  for (const [side, made] of sides.entries()) {
    get(`name${side}`).textContent = get(`voice${side}`).textContent = made.voice.name;
    get(`target${side}`).textContent = made.voice.target;
  }
  const folios = new Map(sides.flatMap((made) => made.voice.folios.map((one) => [one.va, one])));
  for (const one of folios.values()) get("folio").append(tag("option", { value: one.va }, `folio at PFN ${hex(one.pfn)}, ${one.pages} pages`));
  get("folio").onchange = () => { followed = false; place = Number(get("folio").value); show(at); followed = true; };
  const different = rows.filter((row) => row.differs >= 0).length;
  get("target").textContent = different ? `${different} of ${rows.length} steps differ` : "No step differs";
  get("differ").disabled = firstDifference < 0;
  get("differ").onclick = toDifference;
  get("find").textContent = findings.length ? `Findings: ${findings.length}` : "No findings";
  get("find").disabled = !findings.length;
  get("left-out").textContent = timeline.not_compared.length ? `Not compared: ${timeline.not_compared.join(", ")} where one of the two has none, as a kernel's own code does not report them.` : "";
  get("slider").max = rows.length - 1;
}
fill();
control({ move, search, nextFinding, fromAddress, drawList, first: () => show(0), last: () => show(rows.length - 1),
  slide: (index) => show(Number(index)), more: { d: toDifference } });
