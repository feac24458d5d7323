// SPDX-License-Identifier: GPL-2.0-only
// The data of the page: rows unfolded, and what holds after each step, by search in lists ordered by step.
"use strict";
const timeline = JSON.parse(document.getElementById("timeline").textContent);
const hex = (value) => "0x" + value.toString(16);

function unfold(rows, found) {
  for (let at = 0; at < rows.length;) {
    const row = rows[at++];
    if (row[0] !== 0) { found.push(row); continue; }
    const [, count, length] = row;
    const body = rows.slice(at, at + length), steps = rows.slice(at + length, at + 2 * length);
    at += 2 * length;
    for (let turn = 0; turn < count; turn++)
      unfold(body.map((one, i) => one.map((value, j) => value + turn * steps[i][j])), found);
  }
  return found;
}

// The last of a list of [step, ...] that is not after a step.
function latest(list, step) {
  if (!list) return null;
  let low = 0, high = list.length;
  while (low < high) { const middle = (low + high) >> 1; if (list[middle][0] <= step) low = middle + 1; else high = middle; }
  return low ? list[low - 1] : null;
}

function listOf(map, key) {
  let list = map.get(key);
  if (!list) map.set(key, list = []);
  return list;
}

// A TLB: its changes in order, each with the one before it of the same translation, and how many are applied. `held` has
// by the number of a translation the change that holds then, or nothing.
function newTlb() { return { changes: [], numbers: new Map(), last: [], applied: 0, held: [], count: 0, stale: 0 }; }

function addChange(tlb, step, row) {
  const name = row[3] + "/" + row[2] + "/" + row[4];
  if (!tlb.numbers.has(name)) tlb.numbers.set(name, tlb.numbers.size);
  const number = tlb.numbers.get(name), before = tlb.last[number] || null, after = row[6] ? { step, row } : null;
  tlb.last[number] = after;
  tlb.changes.push({ step, number, before, after });
}

// Apply or undo changes until the TLB is as after a step: what a step costs depends on what it changes.
function seekTlb(tlb, step) {
  const put = (number, now) => {
    const old = tlb.held[number];
    tlb.stale += (now ? now.row[7] : 0) - (old ? old.row[7] : 0);
    tlb.count += (now ? 1 : 0) - (old ? 1 : 0);
    tlb.held[number] = now;
  };
  for (; tlb.applied < tlb.changes.length && tlb.changes[tlb.applied].step <= step; tlb.applied++)
    put(tlb.changes[tlb.applied].number, tlb.changes[tlb.applied].after);
  for (; tlb.applied && tlb.changes[tlb.applied - 1].step > step; tlb.applied--)
    put(tlb.changes[tlb.applied - 1].number, tlb.changes[tlb.applied - 1].before);
  return tlb;
}

function load(voice) {
  const kinds = timeline.row_kinds, last = voice.levels.length - 1;
  const made = { voice, steps: [], entries: voice.levels.map(() => new Map()), tlbs: voice.cpus.map(newTlb),
    blocks: new Map(), findings: [], last };
  let calls = [];
  for (const row of unfold(voice.rows, [])) {
    const name = kinds[row[0]].name, now = made.steps.length - 1;
    if (name === "calls") {
      calls = calls.slice(0, row[1]).concat(row.slice(2).map((f) => ({ function: voice.functions[f] })));
    } else if (name === "tlb") {
      addChange(made.tlbs[row[1]], now, row);
    } else if (name === "finding") {
      (made.steps[now].findings ||= []).push(voice.findings[row[1]]);
      if (made.findings.at(-1) !== now) made.findings.push(now);
    } else {
      const step = { name, row, calls, number: now + 1, kind: kinds[row[0]] };
      made.steps.push(step);
      if (name === "entry.store") storeEntries(made, step);
      if (name === "page.allocate" || name === "page.free") addBlocks(made, step);
    }
  }
  for (const folio of voice.folios) seeFolio(made, folio);
  return made;
}

function* runs(flat) {
  for (let i = 0; i < flat.length; i += 4)
    for (let k = 0; k < flat[i + 3]; k++) yield [flat[i], flat[i + 1] + k * flat[i + 2]];
}

function storeEntries(made, step) {
  const [, , level, live, , base, va, count] = step.row;
  if (base !== 0) return;
  const map = made.entries[level], first = Math.floor(va / 2 ** made.voice.levels[level].shift);
  const before = [...runs(step.row.slice(8, 8 + 4 * count))];
  let index = 0;
  for (const [pattern, pfn] of runs(step.row.slice(8 + 4 * count))) {
    const number = first + index;
    if (!map.has(number)) map.set(number, live ? [[-1, ...before[index]]] : []);
    map.get(number).push([step.number, pattern, pfn]);
    index++;
  }
}

// The mapping of a folio when it was seen first holds from the start where no step has changed it before.
function seeFolio(made, folio) {
  for (let i = 0; i < folio.runs.length; i += 6) {
    const [page, pages, level, pattern, pfn, step] = folio.runs.slice(i, i + 6);
    const per = 2 ** (made.voice.levels[level].shift - made.voice.page_shift);
    const start = Math.floor(folio.va / 2 ** made.voice.page_shift) + page;
    for (let k = 0; k < pages; k += per) {
      const number = Math.floor((start + k) / per), map = made.entries[level];
      if (!map.has(number)) map.set(number, [[-1, pattern, pfn + k * step]]);
    }
  }
}

// The leaf that maps a page of vmemmap after a step: level, pattern, PFN of the page, and the step that stored it.
function mapping(made, page, step) {
  for (let level = 0; level <= made.last; level++) {
    const per = 2 ** (made.voice.levels[level].shift - made.voice.page_shift);
    const entry = latest(made.entries[level].get(Math.floor(page / per)), step);
    if (entry && made.voice.patterns[entry[1]].kind !== "table")
      return { level, pattern: made.voice.patterns[entry[1]], pfn: entry[2] + (level < made.last ? page % per : 0),
        entryPfn: entry[2], stored: entry[0] };
  }
  return null;
}

// What the page allocator did last to a frame: "free", "allocated", or "" where no step concerns it. Blocks are aligned.
function frameState(made, pfn, step) {
  let found = null;
  for (const [order, blocks] of made.blocks) {
    const last = latest(blocks.get(Math.floor(pfn / 2 ** order)), step);
    if (last && (!found || last[0] > found[0])) found = last;
  }
  return found ? found[1] : "";
}

function addBlocks(made, step) {
  const free = step.name === "page.free", order = step.row[free ? 2 : 3];
  if (!made.blocks.has(order)) made.blocks.set(order, new Map());
  const blocks = made.blocks.get(order), size = 2 ** order;
  for (let k = free ? 4 : 6; k < step.row.length; k += 3) {
    const [first, by, count] = step.row.slice(k, k + 3);
    for (let n = 0; n < count; n++) listOf(blocks, Math.floor((first + n * by) / size)).push([step.number, free ? "free" : "allocated"]);
  }
}

// The note of a stage that is marked, else "".
function note(made, step) { return step.name === "mark" && step.row[3] >= 0 ? made.voice.texts[step.row[3]] : ""; }

function address(made, base, offset) { return "0x" + (BigInt(made.voice.bases[base]) + BigInt(offset)).toString(16); }

// The raw entry of a pattern and a PFN: the bits of the PA are put where the architecture has them.
function rawEntry(made, pattern, pfn) {
  let raw = BigInt(pattern.raw);
  const pa = BigInt(pfn) << BigInt(made.voice.page_shift);
  for (const part of pattern.address)
    raw |= ((pa >> BigInt(part.physical)) & ((1n << BigInt(part.width)) - 1n)) << BigInt(part.low);
  return "0x" + raw.toString(16);
}

function label(made, step) {
  const { name, row, kind } = step, texts = made.voice.texts, level = made.voice.levels;
  if (name === "mark") return (note(made, step) ? "» " : "") + texts[row[2]];
  if (name === "entry.store") {
    const table = made.voice.patterns[row.at(-4)].kind === "table";
    const count = [...runs(row.slice(8 + 4 * row[7]))].length;
    return `${table ? level[row[2]].name + "_populate_kernel" : "set_pte_at"}  ${count} ${level[row[2]].name}` +
      (row[3] ? "" : ", not yet reachable");
  }
  if (name === "key") return (row[2] > 0 ? "static_branch_inc" : "static_branch_dec");
  if (name === "counter") return `${texts[row[2]] === "nr_memmap_pages" ? "memmap_pages_add" : "memmap_boot_pages_add"}  ${row[3]}`;
  if (name === "barrier") return texts[row[2]];
  if (name === "folio" || name === "batch") return `${name} ${texts[row[2]]}`;
  if (name === "page.allocate") return `alloc_pages  order ${row[3]}` + (row[5] ? ", failed" : "");
  if (name === "page.free") return `${texts[row[3]]}  order ${row[2]}`;
  if (name === "store") return `store  ${row[5]} bytes`;
  if (name === "other") return `${texts[row[2]]}  ${texts[row[3]]}`;
  return kind.kernel;
}
