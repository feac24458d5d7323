// SPDX-License-Identifier: GPL-2.0-only
// What the page shows of one step: picture of a folio, lanes of the CPUs, details.
"use strict";
function tag(name, attributes, ...children) {
  const svg = ["svg", "g", "rect", "text", "path", "title"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {}))
    if (key.startsWith("on")) made[key] = value; else made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Pages of a folio that are drawn: all of up to eight, else the first, those around the step, and the last.
function shownPages(folio, touched) {
  if (folio.pages <= 8) return [...Array(folio.pages).keys()];
  const middle = touched > 3 && touched < folio.pages - 2 ? [touched - 1, touched, touched + 1] : [3, 4, 5];
  return [...new Set([0, 1, 2, ...middle, folio.pages - 1])].sort((a, b) => a - b);
}

function touchedPage(made, folio, step) {
  const row = made.steps[step].row, name = made.steps[step].name;
  const va = name === "entry.store" && row[5] === 0 ? row[6] : name === "store" && row[2] === 0 ? row[3] : -1;
  return va < folio.va ? -1 : Math.floor((va - folio.va) / 2 ** made.voice.page_shift);
}

function drawFolio(made, folio, step, from, choose) {
  const start = Math.floor(folio.va / 2 ** made.voice.page_shift);
  const pages = shownPages(folio, touchedPage(made, folio, step)), height = 34, top = 46;
  const first = pages.map((page) => mapping(made, start + page, -1)?.pfn);
  const now = pages.map((page) => mapping(made, start + page, step));
  const frames = [...new Set([...first, ...now.map((one) => one?.pfn)].filter((pfn) => pfn !== undefined))];
  const more = frames.filter((pfn) => !first.includes(pfn)), rows = Math.max(pages.length, more.length);
  const gap = (i) => pages.slice(0, i + 1).filter((page, k) => k && page > pages[k - 1] + 1).length * 18;
  const line = (i) => top + i * height + gap(Math.min(i, pages.length - 1));
  const place = (pfn) => first.includes(pfn) ? [498, line(first.indexOf(pfn))] : [356, line(more.indexOf(pfn))];
  const users = new Map();
  for (let page = 0; page < folio.pages; page++) {
    const pfn = mapping(made, start + page, step)?.pfn;
    users.set(pfn, (users.get(pfn) || 0) + 1);
  }
  const svg = tag("svg", { viewBox: `0 0 632 ${line(rows) + 20}`, role: "group",
    "aria-label": `vmemmap of the folio at PFN ${hex(folio.pfn)} after step ${step}` });
  for (const [x, text] of [[36, "struct pages"], [208, "mapped by"], [498, "frames before"], [356, more.length ? "new frames" : ""]])
    svg.append(tag("text", { x, y: 26, class: "dim" }, text));
  now.forEach((one, i) => {
    if (!one) return;
    const [x, y] = place(one.pfn), writable = one.pattern.access.includes("w"), kind = writable ? "rw" : "ro", at = line(i);
    svg.append(tag("path", { class: kind, d: `M282 ${at + 13} C 330 ${at + 13}, ${x - 48} ${y + 13}, ${x - 3} ${y + 13}` }));
  });
  pages.forEach((page, i) => {
    const y = line(i), one = now[i];
    if (i && page > pages[i - 1] + 1) svg.append(tag("text", { x: 42, y: y - 8, class: "dim" }, `⋮ ${page - pages[i - 1] - 1} more`));
    svg.append(tag("rect", { x: 36, y, width: 156, height: 26, rx: 4, class: "box" }),
      tag("text", { x: 4, y: y + 17, class: "dim" }, String(page)),
      tag("text", { x: 43, y: y + 17 }, address(made, 0, folio.va + page * 2 ** made.voice.page_shift)));
    if (!one) return;
    const writable = one.pattern.access.includes("w"), changed = one.stored > from && one.stored <= step;
    const text = `${made.voice.levels[one.level].name} ${writable ? "RW" : "RO"}`;
    const open = () => choose(one);
    svg.append(tag("g", { role: "button", tabindex: 0, "aria-label": `entry of page ${page}: ${text}, PFN ${hex(one.pfn)}`,
      onclick: open, onkeydown: (event) => { if (event.key === "Enter") open(); } },
      tag("rect", { x: 206, y, width: 76, height: 26, rx: 13, class: changed ? "box changed" : "box" }),
      tag("text", { x: 217, y: y + 17, class: writable ? "rw" : "ro" }, text)));
  });
  for (const pfn of frames) {
    const [x, y] = place(pfn), used = users.get(pfn) || 0, state = frameState(made, pfn, step);
    const word = used > 1 ? `× ${used}` : used ? "" : state === "free" ? "freed" : "unmapped";
    svg.append(tag("rect", { x, y, width: 130, height: 26, rx: 4, class: used ? "frame" : "gone" }),
      tag("text", { x: x + 8, y: y + 17 }, hex(pfn)), tag("text", { x: x + 66, y: y + 17, class: "dim" }, word));
  }
  return svg;
}

// The first of a list in an order, without sorting the list, which may be long; the last of it are looked at first.
function firstOf(list, most, order) {
  const found = [];
  for (let i = list.length - 1; i >= 0; i--) {
    let at = found.length;
    while (at && order(list[i], found[at - 1]) < 0) at--;
    if (at < most) found.splice(at, 0, list[i]);
    if (found.length > most) found.pop();
  }
  return found;
}
// The order of translations: stale ones, then the newest.
function byState(a, b) { return b.row[7] - a.row[7] || b.step - a.step || a.row[3] - b.row[3]; }

// Chips of translations, a hundred at a time: what is left is in a part that opens.
function drawChips(made, held, from, most) {
  const chips = firstOf(held, most, byState).map(({ step, row }) =>
    tag("span", { class: "chip" + (row[7] ? " stale" : "") + (step > from ? " changed" : "") },
      `${address(made, 0, row[3])} → ${hex(row[5])}${row[4] > 1 ? " ×" + row[4] : ""}${row[7] ? " stale" : ""}`));
  if (held.length <= most) return chips;
  const rest = tag("details", {}, tag("summary", {}, `${held.length - most} more`));
  rest.ontoggle = () => {
    if (rest.open && rest.children.length === 1) rest.append(...drawChips(made, held.sort(byState).slice(most), from, 100));
  };
  return [...chips, rest];
}

function drawLanes(made, step, from) {
  return made.tlbs.map((tlb, cpu) => {
    const lane = tag("div", { class: "lane" }, tag("strong", {}, `CPU ${cpu} ${made.voice.cpus[cpu]}`));
    if (made.voice.unknown_tlbs.includes(cpu)) { lane.append(" cannot tell: this CPU does not report its TLB"); return lane; }
    const { held, count, stale } = seekTlb(tlb, step), vmemmap = held.filter((one) => one && one.row[2] === 0);
    lane.append(tag("span", { class: "dim" }, ` ${count} translations, ${vmemmap.length} of the vmemmap, `),
      tag("span", { class: stale ? "bad" : "dim" }, `${stale} stale`), tag("br"), ...drawChips(made, vmemmap, from, 12));
    return lane;
  });
}

function drawDetail(made, step) {
  const one = made.steps[step], parts = [tag("p", {}, tag("strong", {}, label(made, one))), tag("p", {}, one.kind.what)];
  if (note(made, one)) parts.push(tag("p", { class: "noted" }, `» ${note(made, one)}`));
  const pfns = one.name === "page.allocate" ? one.row.slice(6) : one.name === "page.free" ? one.row.slice(4) : [];
  for (let i = 0; i < pfns.length && i < 24; i += 3)
    parts.push(tag("p", { class: "mono" }, `PFN ${hex(pfns[i])}` + (pfns[i + 2] > 1 ? ` to ${hex(pfns[i] + (pfns[i + 2] - 1) * pfns[i + 1])}` : "")));
  if (one.name === "page.allocate") parts.push(tag("p", { class: "dim" }, made.voice.texts[one.row[2]]));
  if (one.name === "entry.store") parts.push(tag("p", { class: "mono" }, `slot PA ${hex(one.row[4])}, VA ${address(made, one.row[5], one.row[6])}`));
  for (const found of one.findings || [])
    parts.push(tag("p", { class: "bad" }, (found.number ? `invariant ${found.number} (${found.rule}): ` : "") + found.what), tag("p", {}, found.where));
  if (one.calls.length) parts.push(tag("h2", {}, "In progress"));
  for (const call of one.calls)
    parts.push(tag("details", {}, tag("summary", { class: "mono" }, call.function.name + "()"),
      tag("p", {}, call.function.what), tag("p", { class: "dim" }, `${call.function.source || "source not named"}; modeled by ${call.function.model}`)));
  return parts;
}

function drawEntry(made, one) {
  const rows = one.pattern.fields.map((bits) => tag("tr", {}, tag("td", {}, bits.high === bits.low ? `${bits.low}` : `${bits.high}:${bits.low}`),
    tag("td", {}, bits.name), tag("td", { class: "mono" }, bits.name === "address" ? "PFN " + hex(one.entryPfn) : bits.value), tag("td", {}, bits.meaning)));
  return [tag("h2", {}, `Entry: ${made.voice.levels[one.level].name} ${one.pattern.kind}`),
    tag("p", { class: "mono" }, rawEntry(made, one.pattern, one.entryPfn)),
    tag("p", {}, [one.pattern.pgprots.join(", "), one.pattern.note].filter(Boolean).join(" ")),
    tag("table", {}, tag("thead", {}, tag("tr", {}, ...["bits", "field", "value", "meaning"].map((text) => tag("th", { scope: "col" }, text)))), tag("tbody", {}, ...rows.reverse()))];
}
