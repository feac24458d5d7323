// SPDX-License-Identifier: GPL-2.0-only
// Controls of a page: the list of rows, buttons, slider, search, keys, and the address of a step.
"use strict";
const ROW = 24, get = (id) => document.getElementById(id);
let timer = 0;

// Draw the rows that the list shows, of so many.
function drawRows(count, rowOf) {
  const list = get("list"), first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5), rows = [];
  const end = Math.min(count, first + Math.ceil(list.clientHeight / ROW) + 10);
  for (let index = first; index < end; index++) rows.push(rowOf(index));
  list.replaceChildren(tag("div", { role: "presentation", style: `height:${count * ROW}px` }), ...rows);
}
// Draw the list so that it shows a row.
function drawAround(index, drawList) {
  const list = get("list"), y = index * ROW;
  drawList(); // its height may have changed
  if (y < list.scrollTop || y > list.scrollTop + list.clientHeight - ROW) list.scrollTop = y - list.clientHeight / 2;
  drawList();
  list.setAttribute("aria-activedescendant", get(`row${index}`) ? `row${index}` : "");
}

function addressedStep() {
  const wanted = /^#step=(\d+)$/.exec(location.hash);
  return wanted ? Number(wanted[1]) : null;
}
function stop() { clearInterval(timer); timer = 0; get("play").textContent = "Play"; }

// What a page does by buttons and keys; `move` by a number of stops, `search` returns whether it has found a text.
function control({ move, search, nextFinding, fromAddress, drawList, first, last, slide, more = {} }) {
  function play() { if (timer) stop(); else { timer = setInterval(() => move(1), 500); get("play").textContent = "Pause"; } }
  get("find").onclick = nextFinding;
  get("back").onclick = () => move(-1);
  get("next").onclick = () => move(1);
  get("play").onclick = play;
  get("slider").oninput = () => slide(get("slider").value);
  get("search").onkeydown = (event) => {
    if (event.key !== "Enter") return;
    const text = get("search").value.trim().toLowerCase();
    get("search").setAttribute("aria-invalid", text && !search(text) ? "true" : "false");
  };
  get("list").onscroll = drawList;
  addEventListener("hashchange", fromAddress);
  addEventListener("resize", drawList);
  addEventListener("keydown", (event) => {
    if (event.target.matches("input[type=search], select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = { ArrowRight: () => move(1), ArrowLeft: () => move(-1), Home: first, End: last,
      "/": () => get("search").focus(), f: nextFinding, " ": play, ...more };
    if (!keys[event.key] || (event.key === " " && event.target.matches("button"))) return;
    event.preventDefault();
    keys[event.key]();
  });
  fromAddress();
}
